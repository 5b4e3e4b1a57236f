"""The batches that a network is calibrated with, and how far it is with them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.inputs import as_input, device_of

# A batch is the network's input, or a tuple that begins with it, as loaders give them.
Array = Tensor | NDArray[Any]
Batch = Array | Sequence[Array]
LabeledBatch = tuple[Tensor, Tensor]


class Progress(Protocol):
    """Told of each piece of work done; `total` is None where it is not known beforehand."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...


def silent(what: str, done: int, total: int | None) -> None:
    """Show no progress."""


def inputs_of_batches(network: nn.Module, batches: Iterable[Batch]) -> Iterator[Tensor]:
    """Yield the network's inputs of batches, on its device and, real numbers, in its type.

    Raises UsageError for what is no batch, and in the end if there was none.
    """
    index = -1
    for index, batch in enumerate(_checked(batches)):
        inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(inputs, Tensor | np.ndarray):
            raise UsageError(
                f"batches[{index}]: a {type(inputs).__name__} given, a tensor or a tuple that "
                "begins with one allowed"
            )
        yield as_input(inputs, network, f"batches[{index}]")
    if index < 0:
        raise UsageError("batches: 0 given, at least 1 needed")


def labeled_batches(network: nn.Module, batches: Iterable[LabeledBatch]) -> list[LabeledBatch]:
    """Return batches of inputs and targets on a network's device. Raises UsageError as
    `inputs_of_batches` does."""
    found = []
    for index, batch in enumerate(_checked(batches)):
        is_pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not is_pair or not all(isinstance(part, Tensor) for part in batch):
            raise UsageError(
                f"batches[{index}]: a {type(batch).__name__} given, a tuple of two tensors, inputs "
                "and targets, allowed"
            )
        inputs, targets = batch
        found.append(
            (as_input(inputs, network, f"batches[{index}]"), targets.to(device_of(network)))
        )
    if not found:
        raise UsageError("batches: 0 given, at least 1 needed")
    return found


def _checked(batches: Any) -> Any:
    """Return batches. Raises UsageError for a single one, whose samples would be taken for some."""
    is_single = isinstance(batches, Tensor | np.ndarray | str | dict)
    if is_single or not isinstance(batches, Iterable):
        raise UsageError(
            f"batches: a {type(batches).__name__} given, several allowed, such as a loader or [x]"
        )
    return batches
