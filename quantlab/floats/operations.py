"""The operations of float programs.

Each reads and writes arrays of 32-bit floats, which lie in memory without gaps: images row by row,
column by column, the channels of a place together. Legend: `[H, W, C]` an image, `I` inputs and `O`
outputs of a layer, `G` groups. Each addition and product is rounded by itself, in the order that an
operation names, so that every engine gives the same bits.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.floats.functions import Function
from quantlab.integer.operations import Windows

Places = NDArray[np.intp]
Range = tuple[int, int]
Reals = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(ABC):
    """layer: of the network, for names and errors. output: the array that it writes."""

    output: str
    layer: str

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The arrays that it reads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _OfOne(Operation):
    input: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pooled:
    """The largest of each `size` places of a layer's result, `stride` apart: windows that do not
    overlap."""

    size: tuple[int, int]
    stride: tuple[int, int]
    count: tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Product(_OfOne):
    """A convolution, or a fully connected layer as one with a window of one place.

    A sum begins at +0, goes through its window row by row, column by column, channel by channel,
    and ends with the bias; then comes the function, then the pooling.

    size: `[H, W]` of the input. weight: `[O, kernel rows, kernel columns, I / G]`.
    """

    size: tuple[int, int]
    weight: Reals
    bias: Reals | None
    windows: Windows
    groups: int = 1
    function: Function | None = None
    pooled: Pooled | None = None

    @property
    def channels(self) -> int:
        """The channels of the input."""
        return int(self.weight.shape[3]) * self.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether each output has one channel of its own."""
        return self.groups == len(self.weight) and self.weight.shape[3] == 1

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of windows, before the pooling."""
        return self.windows.output_size(*self.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(_OfOne):
    """The largest number of each window, or the sum of each, row by row, divided by its divisor.

    size: `[H, W, C]` of the input. rows, columns: where windows begin and end. dilation: of maxima.
    divisors: of sums, one for all or one a place; None: the largest.
    """

    size: tuple[int, int, int]
    rows: tuple[Range, ...]
    columns: tuple[Range, ...]
    dilation: tuple[int, int] = (1, 1)
    divisors: Reals | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Elementwise(Operation):
    """A function of the numbers at some places, written to others; the rest of the output stays.

    to_places, places, other_places: as many of each. constant: what takes the place of a second
    array.
    """

    input: str
    other: str | None = None
    constant: Reals | None = None
    function: Function
    places: Places
    other_places: Places | None = None
    to_places: Places

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.input,) if self.other is None else (self.input, self.other)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fill(Operation):
    """One number everywhere, before other operations write to some places."""

    number: float

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Softmax(_OfOne):
    """Of rows of `count` numbers."""

    count: int
    is_logarithm: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduce(_OfOne):
    """One number of each row of `count`: its sum, in order, by a divisor; None: its largest."""

    count: int
    divisor: float | None
