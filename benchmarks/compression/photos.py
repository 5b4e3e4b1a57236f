"""All samples of a problem on one device, augmented as the problem says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.data.draws import uniform
from experiments.data.splits import split
from experiments.library import load_library, load_problem
from experiments.protocols import InMemory
from quantlab.integer.lower import InputSpec

_COPIES = 10


class Batches:
    """Batches of a fixed order, or of one drawn from torch's generator."""

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        prepare: Callable[[Tensor], Tensor],
        *,
        batch_size: int,
        is_drawn: bool,
    ) -> None:
        self._inputs, self._targets, self._prepare = inputs, targets, prepare
        self._batch_size, self._is_drawn = batch_size, is_drawn

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self._inputs)
        order = torch.randperm(count) if self._is_drawn else torch.arange(count)
        for part in order.to(self._inputs.device).split(self._batch_size):
            yield self._prepare(self._inputs[part]), self._targets[part]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """train: shuffled and augmented. valid: the tenth that the lab holds out. test: all."""

    train: Batches
    valid: Batches
    test: Batches
    spec: InputSpec


def load(
    problem: str,
    topology: str,
    fit: Callable[[Tensor], Tensor] | None,
    *,
    batch_size: int,
    device: str,
) -> Samples:
    """Read a problem's samples. Raises DataError where they are missing."""
    found = load_problem(problem)
    preprocess = load_library(problem, topology).preprocess
    data = found.data.load(found.data_folder, "folder")
    parts = split(
        len(data.train), valid_fraction=0.1, split_seed=0, limit=None, limit_valid=None, folds=1,
        fold=0,
    )  # fmt: skip
    train = _copies(data.train, preprocess, fit)
    valid = _raw(data.train, preprocess, fit)
    test = _raw(data.test, preprocess, fit)
    normalization: Any = preprocess.NORMALIZATION

    def augment(raw: Tensor) -> Tensor:
        indices = torch.arange(len(raw), device=raw.device)
        copies = torch.randint(raw.shape[1], (len(raw),)).to(raw.device)
        draws = uniform(int(torch.randint(2**62, ())), 0, indices, preprocess.NUM_DRAWS)
        return preprocess.train(raw[indices, copies], draws)

    def batches(raw: tuple[Tensor, Tensor], indices: Tensor | None, *, is_train: bool) -> Batches:
        inputs, targets = raw if indices is None else (raw[0][indices], raw[1][indices])
        return Batches(
            inputs.to(device),
            targets.to(device),
            augment if is_train else preprocess.evaluate,
            batch_size=batch_size if is_train else 500,
            is_drawn=is_train,
        )

    return Samples(
        train=batches(train, parts.train, is_train=True),
        valid=batches(valid, parts.valid, is_train=False),
        test=batches(test, None, is_train=False),
        spec=InputSpec(
            shape=tuple(test[0].shape[1:]),
            scale=normalization.scale,
            zero_point=normalization.zero_point,
        ),
    )


def _copies(
    samples: Any, preprocess: Any, fit: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Return raw inputs `[N, copies, ...]` and classes: several copies of what is changed as it is
    read, such as recordings."""
    if isinstance(samples, InMemory):
        inputs, targets = _raw(samples, preprocess, fit)
        return inputs.unsqueeze(1), targets
    indices = torch.arange(len(samples))
    copies = []
    for number in range(_COPIES):
        draws = uniform(0, number, indices, preprocess.NUM_DRAWS).tolist()
        copies.append(
            torch.stack(
                [preprocess.read_train(samples.read(i), draws[i]) for i in indices.tolist()]
            )
        )
    return torch.stack(copies, 1), samples.targets


def _raw(
    samples: Any, preprocess: Any, fit: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Return raw inputs and classes of all samples."""
    if isinstance(samples, InMemory):
        inputs = samples.inputs
    else:
        read = (preprocess.read_evaluate(samples.read(index)) for index in range(len(samples)))
        inputs = torch.stack(list(read))
    return inputs if fit is None else fit(inputs), samples.targets
