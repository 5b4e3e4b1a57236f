"""How the numbers of a tensor lie in memory, one after the other without gaps.

Images lie with their channels last, everything else with its axes in order. What only gives a
tensor another shape moves nothing: it is the same memory, read with the axes of before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.tensor_type import TensorType

Order = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A tensor in a buffer.

    buffer: its name. kind: of the tensor. axes: the sizes that memory was laid out with. order: of
    these axes in memory, the outermost first.
    """

    buffer: str
    kind: TensorType
    axes: tuple[int, ...]
    order: Order

    @property
    def is_plain(self) -> bool:
        """Whether memory has the numbers in the tensor's own order, whatever its shape."""
        moving = [axis for axis in self.order if self.axes[axis] > 1]
        return moving == sorted(moving)

    def steps(self) -> tuple[int, ...] | None:
        """Return how far apart neighbours along each of the tensor's axes lie; None if its shape is
        not the one that memory was laid out with."""
        if self.is_plain:
            return _steps(self.kind.shape, tuple(range(len(self.kind.shape))))
        return _steps(self.axes, self.order) if self.kind.shape == self.axes else None

    def has_order(self, order: Order) -> bool:
        """Return whether memory has the tensor's axes in this order."""
        steps = self.steps()
        wanted = _steps(self.kind.shape, order)
        return steps is not None and all(
            size == 1 or one == other
            for size, one, other in zip(self.kind.shape, steps, wanted, strict=True)
        )

    def numbers(self) -> NDArray[np.intp]:
        """Return which of the tensor's numbers, counted in its own order, lies at each place."""
        return np.arange(prod(self.axes)).reshape(self.axes).transpose(self.order).reshape(-1)


def channels_last(shape: Sequence[int]) -> Order:
    """Return the order of an image; of everything else its own."""
    return (1, 2, 0) if len(shape) == 3 else tuple(range(len(shape)))


def in_order(buffer: str, kind: TensorType, order: Order) -> Placed:
    """Return a tensor whose axes lie in an order."""
    return Placed(buffer=buffer, kind=kind, axes=kind.shape, order=order)


def _steps(axes: Sequence[int], order: Order) -> tuple[int, ...]:
    found, step = [0] * len(axes), 1
    for axis in reversed(order):
        found[axis] = step
        step *= axes[axis]
    return tuple(found)
