"""Granularity: which numbers of a tensor share a scale.

A granularity is a value. It first splits a tensor into a shape in which the numbers that share a
scale lie along whole axes (only `PerGroup` really reshapes), and the scale has that shape with
these axes of length 1, so that `split(x) / scale` broadcasts.

    granularity     text            x [O, I, H, W] split as         scale
    PerTensor()     per_tensor      [O, I, H, W]                    []
    PerAxis(0)      per_axis:0      [O, I, H, W]                    [O, 1, 1, 1]
    PerGroup(n)     per_group:n     [O, I * H * W / n, n]           [O, I * H * W / n, 1]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class PerTensor:
    """One scale for the whole tensor."""

    def split_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape)

    def scale_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return ()

    def __str__(self) -> str:
        return "per_tensor"


@dataclass(frozen=True)
class PerAxis:
    """One scale for each index along `axis`, such as each output channel of a weight (axis 0)."""

    axis: int = 0

    def split_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape)

    def scale_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Raises UsageError if the tensor has no such axis."""
        if not -len(shape) <= self.axis < len(shape):
            raise UsageError(
                f"granularity: '{self}' given for a tensor of shape {tuple(shape)}, "
                f"axes below {len(shape)} allowed"
            )
        kept = self.axis % len(shape)
        return tuple(size if axis == kept else 1 for axis, size in enumerate(shape))

    def __str__(self) -> str:
        return f"per_axis:{self.axis}"


@dataclass(frozen=True)
class PerGroup:
    """One scale for each `size` neighbours within an index of axis 0, the rest taken as flat."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"granularity: '{self}' given, groups of at least 1 allowed")

    def split_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Raises UsageError unless the groups come out even."""
        row = math.prod(shape[1:])
        if len(shape) < 2 or row % self.size:
            raise UsageError(
                f"granularity: '{self}' given for a tensor of shape {tuple(shape)}, "
                f"divisors of its {row if len(shape) > 1 else 0} numbers per row allowed"
            )
        return (shape[0], row // self.size, self.size)

    def scale_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*self.split_shape(shape)[:-1], 1)

    def __str__(self) -> str:
        return f"per_group:{self.size}"


Granularity = PerTensor | PerAxis | PerGroup


def parse_granularity(text: str) -> Granularity:
    """Return the granularity written as `per_tensor`, `per_axis`, `per_axis:1` or `per_group:32`.

    Raises UsageError for anything else.
    """
    name, colon, number = text.partition(":")
    is_number = number.removeprefix("-").isdecimal() and number.isascii()
    if name == "per_tensor" and not colon:
        return PerTensor()
    if name == "per_axis" and (is_number if colon else True):
        return PerAxis(int(number or "0"))
    if name == "per_group" and is_number:
        return PerGroup(int(number))
    names = ("per_tensor", "per_axis", "per_group")
    hint = did_you_mean(name, names) if name not in names else ""
    raise UsageError(
        f"granularity: '{text}' given, 'per_tensor', 'per_axis[:AXIS]' or 'per_group:SIZE' "
        f"allowed{hint}"
    )


def reduced_axes(split_shape: Sequence[int], scale_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of a split tensor along which a scale is shared."""
    if not scale_shape:
        return tuple(range(len(split_shape)))
    return tuple(axis for axis, size in enumerate(scale_shape) if size == 1)
