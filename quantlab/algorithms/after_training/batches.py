"""The batches that a network is calibrated with, and how far it is with them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError

# A batch is the network's input, or a tuple that begins with it, as loaders give them.
Batch = Tensor | Sequence[Tensor]
LabeledBatch = tuple[Tensor, Tensor]


class Progress(Protocol):
    """Told of each piece of work done; `total` is None where it is not known beforehand."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...


def silent(what: str, done: int, total: int | None) -> None:
    """Show no progress."""


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's inputs have to be."""
    tensor = next((t for own in (network.parameters(), network.buffers()) for t in own), None)
    return torch.device("cpu") if tensor is None else tensor.device


def inputs_on(device: torch.device, batches: Iterable[Batch]) -> Iterator[Tensor]:
    """Yield the network's inputs of batches, on a device.

    Raises UsageError for what is no batch, and in the end if there was none.
    """
    index = -1
    for index, batch in enumerate(batches):
        inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(inputs, Tensor):
            raise UsageError(
                f"batches[{index}]: a {type(inputs).__name__} given, a tensor or a tuple that "
                "begins with one allowed"
            )
        yield inputs.to(device)
    if index < 0:
        raise UsageError("batches: 0 given, at least 1 needed")


def labeled_on(device: torch.device, batches: Iterable[LabeledBatch]) -> list[LabeledBatch]:
    """Return batches of inputs and targets on a device. Raises UsageError as `inputs_on` does."""
    found = []
    for index, batch in enumerate(batches):
        is_pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not is_pair or not all(isinstance(part, Tensor) for part in batch):
            raise UsageError(
                f"batches[{index}]: a {type(batch).__name__} given, a tuple of two tensors, inputs "
                "and targets, allowed"
            )
        inputs, targets = batch
        found.append((inputs.to(device), targets.to(device)))
    if not found:
        raise UsageError("batches: 0 given, at least 1 needed")
    return found
