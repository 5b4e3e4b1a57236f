"""Batches on the device, prepared for the network.

Data in memory is gathered with one indexing operation, on the GPU if it was put there; data on disk
is read by worker processes. Either way normalization and batched augmentation run on the device of
the network, and every random number is a function of (seed, epoch, sample): the number of workers
changes nothing but the speed.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from experiments.data.draws import permutation, uniform
from experiments.data.feed import Feed
from experiments.data.piece import EpochDraws, Piece
from experiments.data.plan import Plan, Slice
from experiments.data.reading import read_batch
from experiments.protocols import Dataset, InMemory, Preprocess, ReadingPreprocess
from quantlab.errors import QuantLabError, UsageError

# At most this share of a GPU's free memory is taken for the data set.
_GPU_MEMORY_SHARE = 0.4


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch on the device. With weight 0 it is empty: the rank takes part in the step without
    samples of its own. `raw` is the data as it was before preprocessing."""

    raw: Tensor
    inputs: Tensor
    targets: Tensor
    weight: float
    step: int
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a worker reads: samples, and the epoch for which to augment them (None: not)."""

    indices: Tensor
    epoch: int | None


def place(dataset: Dataset, device: torch.device) -> Dataset:
    """Move a data set in memory to the GPU if it fits there."""
    if device.type != "cuda" or not isinstance(dataset, InMemory):
        return dataset
    free, _ = torch.cuda.mem_get_info(device)
    if dataset.inputs.nbytes > free * _GPU_MEMORY_SHARE:
        return dataset
    return replace(dataset, inputs=dataset.inputs.to(device), targets=dataset.targets.to(device))


Reading = tuple[Tensor, Tensor] | QuantLabError


class Reader(TorchDataset[Reading]):
    """Reads whole batches; this is what travels to the worker processes. An error of ours is
    returned, not raised: a worker would wrap it into its own traceback."""

    def __init__(self, dataset: Dataset, preprocess: Preprocess, seed: int) -> None:
        self._dataset = dataset
        self._seed = seed
        self._num_draws = preprocess.NUM_DRAWS
        if not isinstance(dataset, InMemory):
            reading = reading_of(preprocess)
            self._read_train, self._read_evaluate = reading.read_train, reading.read_evaluate

    def __getitem__(self, request: Request) -> Reading:
        try:
            return self._read(request)
        except QuantLabError as error:
            return error

    def _read(self, request: Request) -> tuple[Tensor, Tensor]:
        dataset, indices = self._dataset, request.indices
        if isinstance(dataset, InMemory):
            indices = indices.to(dataset.inputs.device)
            return dataset.inputs[indices], dataset.targets[indices]
        if request.epoch is None:

            def convert(sample: Any, position: int) -> Tensor:
                return self._read_evaluate(sample)

        else:
            draws = uniform(self._seed, request.epoch, indices, self._num_draws).tolist()

            def convert(sample: Any, position: int) -> Tensor:
                return self._read_train(sample, draws[position])

        return read_batch(dataset, indices.tolist(), convert), dataset.targets[indices]


class Loader:
    """The batches of one rank over some samples of a data set."""

    def __init__(
        self,
        dataset: Dataset,
        indices: Tensor,
        *,
        preprocess: Preprocess,
        plan: Plan,
        seed: int,
        device: torch.device,
        workers: int,
        dtype: torch.dtype,
        is_augmented: bool,
        is_channels_last: bool = False,
    ) -> None:
        self.plan = plan
        self._dataset = dataset
        self._indices = indices
        self._preprocess = preprocess
        self._seed = seed
        self._device = device
        self._dtype = dtype
        self._is_augmented = is_augmented
        self._is_channels_last = is_channels_last
        self._reader = Reader(dataset, preprocess, seed)
        self._requests = _Requests()
        self._workers = self._start_workers(workers)

    def epoch(
        self, epoch: int, *, first_step: int = 0, is_shuffled: bool = True
    ) -> Iterator[Batch]:
        """Yield the batches of an epoch from `first_step` on."""
        for piece in self.pieces(epoch, first_step=first_step, is_shuffled=is_shuffled):
            yield self.prepare(piece)

    def pieces(
        self, epoch: int, *, first_step: int = 0, is_shuffled: bool = True
    ) -> Iterator[Piece]:
        """Yield the same batches as they are read, to be prepared."""
        order = self._indices
        if is_shuffled:
            order = order[permutation(self._seed, epoch, len(order))]
        slices = list(self.plan.slices(first_step))
        augmented_epoch = epoch if self._is_augmented else None
        memory = self._memory
        read = [piece for piece in slices if piece.stop > piece.start and memory is None]
        readings = self._read(order, read, augmented_epoch)
        order = order.to(self._device)
        draws = None
        if self._is_augmented and self._preprocess.NUM_DRAWS:
            draws = uniform(self._seed, epoch, order, self._preprocess.NUM_DRAWS)
        common = EpochDraws(order=order, draws=draws)
        for piece in slices:
            if memory is not None or piece.stop == piece.start:
                yield Piece(slice=piece, epoch=common)
                continue
            reading = next(readings)
            if isinstance(reading, QuantLabError):
                self.close()
                raise reading
            yield Piece(slice=piece, epoch=common, reading=reading)

    def prepare(self, piece: Piece) -> Batch:
        """Return a batch on the device."""
        place = piece.slice
        if place.stop == place.start:
            return self._empty(place)
        if piece.reading is not None:
            raw, targets = piece.reading
        else:
            memory = self._memory
            assert memory is not None
            samples = piece.epoch.order[place.start : place.stop]
            raw, targets = memory.inputs[samples], memory.targets[samples]
        raw = raw.to(self._device, non_blocking=True)
        return Batch(
            raw=raw,
            inputs=self._inputs_of(raw, piece.draws),
            targets=targets.to(self._device, non_blocking=True),
            weight=place.weight,
            step=place.step,
            is_last=place.is_last,
        )

    def feed(self, piece: Piece) -> Feed:
        """Return a batch at addresses that stay, of as many samples as the one given."""
        return Feed(piece, self._memory, self._inputs_of)

    def close(self) -> None:
        """End the workers. Left to the garbage collector, that takes 5 seconds for each."""
        iterator = self._workers._iterator if self._workers is not None else None
        if self._workers is not None and iterator is not None:
            self._workers._iterator = None
            iterator._shutdown_workers()  # type: ignore[attr-defined]  # of the one with workers

    @property
    def _memory(self) -> InMemory | None:
        """The data set, if it lies where its batches are wanted."""
        dataset = self._dataset
        if self._workers is not None or not isinstance(dataset, InMemory):
            return None
        return dataset if dataset.inputs.device == self._device else None

    def _read(self, order: Tensor, pieces: list[Slice], epoch: int | None) -> Iterator[Reading]:
        if self._workers is None:
            for piece in pieces:
                yield self._reader[Request(indices=order[piece.start : piece.stop], epoch=epoch)]
            return
        self._requests.items = [
            Request(indices=order[piece.start : piece.stop].clone(), epoch=epoch)
            for piece in pieces
        ]
        yield from self._workers

    def _inputs_of(self, raw: Tensor, draws: Tensor | None) -> Tensor:
        """Return what the network takes, of raw samples on the device."""
        if self._is_augmented:
            nothing = torch.empty(len(raw), 0, device=self._device)
            inputs = self._preprocess.train(raw, nothing if draws is None else draws)
        else:
            inputs = self._preprocess.evaluate(raw)
        _check_prepared(inputs, len(raw), "train" if self._is_augmented else "evaluate")
        inputs = inputs.to(self._dtype)
        if self._is_channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _empty(self, piece: Slice) -> Batch:
        nothing = torch.empty(0, device=self._device)
        return Batch(
            raw=nothing,
            inputs=nothing,
            targets=nothing,
            weight=0.0,
            step=piece.step,
            is_last=piece.is_last,
        )

    def _start_workers(self, workers: int) -> DataLoader[Reading] | None:
        in_gpu_memory = isinstance(self._dataset, InMemory) and self._dataset.inputs.is_cuda
        if workers == 0 or in_gpu_memory:
            return None
        # Horovod and OpenMP run threads, which a fork would tear apart. The server from which
        # workers are forked has imported what they need.
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(["experiments.data.worker_server"])
        return DataLoader(
            self._reader,
            sampler=self._requests,
            batch_size=None,
            num_workers=workers,
            pin_memory=self._device.type == "cuda",
            persistent_workers=True,
            multiprocessing_context=server,
            worker_init_fn=_follow_trainer,
            # Its own generator: the loader draws a seed that must not come from the training's.
            generator=torch.Generator(),
        )


def _follow_trainer(worker: int) -> None:
    """End this worker when the training process has ended, be it by SIGKILL. torch looks whether
    the worker's parent has changed, but that is the server."""
    trainer = multiprocessing.parent_process()

    def watch() -> None:
        if trainer is not None:
            trainer.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Requests(Sampler[Request]):
    """The requests of the current epoch; the workers stay, the list changes."""

    def __init__(self) -> None:
        self.items: list[Request] = []

    def __iter__(self) -> Iterator[Request]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def _check_prepared(inputs: object, num_samples: int, function: str) -> None:
    """Raise UsageError unless a library's preprocessing has returned a tensor of these samples."""
    if not isinstance(inputs, Tensor):
        kind = type(inputs).__name__
        raise UsageError(f"preprocess.{function} returned {kind}; a tensor allowed")
    if inputs.shape[:1] != (num_samples,):
        raise UsageError(
            f"preprocess.{function} returned a tensor {list(inputs.shape)} of {num_samples} "
            f"samples; [{num_samples}, ...] allowed"
        )


def reading_of(preprocess: Preprocess) -> ReadingPreprocess:
    """Return a library's preprocessing as one of samples on disk. Raises UsageError."""
    if not (hasattr(preprocess, "read_train") and hasattr(preprocess, "read_evaluate")):
        raise UsageError(
            "preprocess.py: defines no read_train and read_evaluate; data on disk needs them"
        )
    return cast(ReadingPreprocess, preprocess)
