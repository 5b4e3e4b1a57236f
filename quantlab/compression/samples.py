"""The samples of a compression: batches to train with, and others to decide with."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
)

from quantlab.compression.batch_checks import BatchChecks
from quantlab.errors import UsageError
from quantlab.graphs.inputs import as_input, device_of

_TENTH = 10


@runtime_checkable
class Batches(Protocol):
    """Batches of inputs and classes, as loaders and lists give them, the same ones each time."""

    def __iter__(self) -> Iterator[Sequence[Tensor]]: ...


@dataclass(frozen=True, kw_only=True)
class Data:
    """Batches of inputs and classes. train: to train with. valid: to decide with; None holds out a
    tenth of the training samples. test: for the last line of the report alone."""

    train: Batches
    valid: Batches | None = None
    test: Batches | None = None


def data_of(given: object, seed: int) -> tuple[Data, Batches]:
    """Return data, and the batches to decide with. given: Data, or batches to train with. Raises
    UsageError for anything else, and for batches that are empty or can be read once only."""
    data = given if isinstance(given, Data) else Data(train=_checked(given, "data"))
    for name in ("train", "valid", "test"):
        if getattr(data, name) is not None or name == "train":
            checked_batches(getattr(data, name), f"data.{name}")
    if data.valid is not None:
        return data, data.valid
    train, valid = _held_out(data.train, seed)
    return Data(train=train, valid=None, test=data.test), valid


def checked_batches(given: object, name: str) -> Batches:
    """Return what is batches. Raises UsageError for anything else, and for batches that are empty
    or can be read once only."""
    batches = _checked(given, name)
    _check(batches, name)
    return batches


def batches_on(
    network: nn.Module,
    batches: Iterable[Sequence[Tensor]],
    name: str,
    num_classes: int | None = None,
    checks: BatchChecks | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches on a network's device, the inputs in its type, classes as int64.

    num_classes: of the network, None where they are not known. checks: what looks at the batches;
    without, those of another device are looked at behind the last one. Raises UsageError for inputs
    that are not finite, and for targets that are no class.
    """
    looked = BatchChecks(name) if checks is None else checks
    for batch in batches:
        inputs, targets = pair_of(batch, name)
        looked.inputs(inputs)
        if num_classes is not None:
            targets = looked.classes(targets, len(inputs), num_classes)
        if not targets.is_floating_point():
            targets = targets.long()
        real = inputs if inputs.is_floating_point() else inputs.float()
        device = device_of(network)
        is_async = device.type != "cpu"  # what is copied to the CPU is read at once
        moved = real.to(device, non_blocking=is_async)
        yield as_input(moved, network, name), targets.to(device, non_blocking=is_async)
    if checks is None:
        looked.look()


def pair_of(batch: Any, name: str) -> tuple[Tensor, Tensor]:
    """Return a batch's inputs and classes. Raises UsageError for what is no such batch."""
    is_pair = isinstance(batch, tuple | list) and len(batch) == 2
    if not is_pair or not all(isinstance(part, Tensor) for part in batch):
        raise UsageError(
            f"{name}: a batch that is a {type(batch).__name__} given, two tensors allowed, inputs "
            "and classes"
        )
    inputs, targets = batch
    if len(inputs) == 0:
        raise UsageError(f"{name}: a batch of 0 samples given, at least 1 needed")
    return inputs, targets


@contextmanager
def drawn_from(seed: int, batches: Batches) -> Iterator[None]:
    """Draw all that is drawn inside, the order of samples above all, from a seed; leave the
    generators of torch and Python as they were."""
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    before = random.getstate()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        random.seed(seed)
        for holder in (batches, getattr(batches, "sampler", None)):
            generator = getattr(holder, "generator", None)
            if isinstance(generator, torch.Generator):
                generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


def _checked(given: object, name: str) -> Batches:
    if isinstance(given, Tensor | str | dict | Dataset) or not isinstance(given, Iterable):
        raise UsageError(
            f"{name}: a {type(given).__name__} given, batches allowed: a DataLoader, or a list of "
            "pairs of inputs and classes"
        )
    if isinstance(given, Iterator):
        raise UsageError(
            f"{name}: a {type(given).__name__} given, which can be read once only; a DataLoader or "
            "a list allowed"
        )
    return given


def _check(batches: Batches, name: str) -> None:
    for batch in batches:
        pair_of(batch, name)
        return
    raise UsageError(f"{name}: 0 batches given, at least 1 needed")


def _held_out(batches: Batches, seed: int) -> tuple[Batches, Batches]:
    """Return training batches without a tenth of their samples, and those."""
    if isinstance(batches, DataLoader):
        return _held_out_samples(batches, seed)
    if not isinstance(batches, Sequence):
        raise UsageError(
            f"data.valid: None given, but no tenth can be held out of a {type(batches).__name__}; "
            "batches to decide with needed"
        )
    if len(batches) < 2:
        raise UsageError("data.valid: None given and 1 batch to train with, at least 2 needed")
    count = max(len(batches) // _TENTH, 1)
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = set(order[:count])
    train = [batch for index, batch in enumerate(batches) if index not in chosen]
    return train, [batches[index] for index in sorted(chosen)]


def _held_out_samples(loader: DataLoader[Any], seed: int) -> tuple[Batches, Batches]:
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset) or not isinstance(dataset, Sized):
        raise UsageError(
            f"data.valid: None given, but no tenth can be held out of a {type(dataset).__name__} "
            "without length; batches to decide with needed"
        )
    places, is_shuffled = _places_of(loader, dataset)
    if len(places) < 2:
        raise UsageError(f"data.train: {len(places)} samples given, at least 2 needed")
    size = loader.batch_size
    if size is None:
        raise UsageError(
            "data.valid: None given, but no tenth can be held out of a loader with batches of its "
            "own; batches to decide with needed"
        )
    count = max(len(places) // _TENTH, 1)
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).tolist()
    held, kept = ([places[n] for n in sorted(part)] for part in (order[:count], order[count:]))
    is_one_left = len(kept) % size == 1  # batch norms cannot train on it

    def new(indices: list[int], *, shuffle: bool, drop_last: bool) -> DataLoader[Any]:
        return DataLoader(
            Subset(dataset, indices),
            batch_size=size,
            shuffle=shuffle,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            drop_last=drop_last and len(indices) > size,
            worker_init_fn=loader.worker_init_fn,
        )

    train = new(kept, shuffle=is_shuffled, drop_last=loader.drop_last or is_one_left)
    return train, new(held, shuffle=False, drop_last=False)


def _places_of(loader: DataLoader[Any], dataset: Sized) -> tuple[Sequence[int], bool]:
    """Return which samples of its data set a loader gives, and whether it shuffles them. Raises
    UsageError for one that has rules of its own."""
    sampler = loader.sampler
    if isinstance(sampler, SubsetRandomSampler):
        return sampler.indices, True
    is_shuffled = isinstance(sampler, RandomSampler) and not sampler.replacement
    is_usual = is_shuffled or isinstance(sampler, SequentialSampler)
    if not is_usual or not isinstance(sampler, Sized) or len(sampler) != len(dataset):
        raise UsageError(
            "data.valid: None given, but no tenth can be held out of a loader with a "
            f"{type(sampler).__name__}; batches to decide with needed"
        )
    return range(len(dataset)), is_shuffled


def hash_of(seed: int, epoch: int) -> int:
    """Return the seed of an epoch."""
    digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:7], "little")
