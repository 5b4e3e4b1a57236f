"""Neighboring operations as one: steps that one call of the kernels computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from numpy.typing import NDArray

from quantlab.floats.functions import Function
from quantlab.floats.operations import Elementwise, Operation, Pool, Product, Range

Shape = tuple[int, int, int]
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-inf, inf)


@dataclass(kw_only=True, eq=False)
class Step:
    """A product, pooling, sum, or `factors * x + offsets` of each channel, or concatenation.

    operation: what begins it. inputs: arrays that it reads, of a product the residual last. output:
    the array that it writes. shapes: `[H, W, C]` of each input. output_shape: of the output.
    """

    operation: Product | Pool | Elementwise
    inputs: list[str]
    output: str
    shapes: list[Shape]
    output_shape: Shape
    bounds: Bounds = UNBOUNDED
    is_concatenation: bool = False
    factors: NDArray[Any] | None = None
    offsets: NDArray[Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined(Operation):
    """Steps in order, the last of which writes the output."""

    steps: Sequence[Step]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(shapes_read(self.steps))


def shapes_read(steps: Sequence[Step]) -> dict[str, Shape]:
    """Return the images that steps read and none of them makes, by array."""
    made = {step.output for step in steps}
    return {
        name: shape
        for step in steps
        for name, shape in zip(step.inputs, step.shapes, strict=True)
        if name not in made
    }


def bounds_of(function: Function) -> Bounds | None:
    """Return the bounds that a function is, None if it is another."""
    match function:
        case Function(name="at_least", constants=(low,)):
            return low, inf
        case Function(name="at_most", constants=(high,)):
            return -inf, high
        case Function(name="clamp", constants=(low, high)):
            return low, high
        case _:
            return None


def windows_of(ranges: Sequence[Range], size: int) -> tuple[int, int] | None:
    """Return the length and stride of windows that begin at 0 and are all that fit into `size`,
    None for others."""
    begin, end = ranges[0]
    length = end - begin
    stride = ranges[1][0] - begin if len(ranges) > 1 else length
    if stride < 1 or not 0 < length <= size or len(ranges) != (size - length) // stride + 1:
        return None
    same = [(stride * i, stride * i + length) for i in range(len(ranges))]
    return (length, stride) if list(ranges) == same else None
