"""Where the windows of a layer lie in its input."""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.backend import WindowPlaces
from quantlab.integer.layout.words import num_words
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.tensor_type import TensorType

_KEPT_PLACES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """Windows over one sample, channels last.

    shape: of the sample with its padding. start: where the input begins in it, one number an axis.
    padding_codes: of each channel, None if there is no padding. counts: rows and columns of
    windows. steps: numbers from one row, and from one column, to the next. spans: where stretches
    of `span` numbers begin in a window. num_groups: that follow one another in each span's place.
    """

    shape: tuple[int, ...]
    start: tuple[int, int]
    padding_codes: NDArray[Any] | None
    counts: tuple[int, int]
    steps: tuple[int, int]
    spans: list[int]
    span: int
    num_groups: int
    _places: dict[int, WindowPlaces] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers of a sample."""
        return prod(self.shape)

    def places(self, count: int) -> WindowPlaces:
        """Return the windows of `count` samples; some that were asked for are kept."""
        found = self._places.get(count)
        if found is None:
            steps = (self.size, *self.steps)
            found = WindowPlaces((count, *self.counts), steps, self.spans)
            if len(self._places) >= _KEPT_PLACES:
                self._places.clear()
            self._places[count] = found
        return found

    def in_words(self, channels: int) -> "Geometry":
        """Return the same where each pixel's channels are bits in words of 64."""
        words = num_words(channels)

        def counted(numbers: int) -> int:
            return numbers // channels * words

        return replace(
            self,
            shape=(*self.shape[:-1], words),
            steps=(counted(self.steps[0]), counted(self.steps[1])),
            spans=[counted(span) for span in self.spans],
            span=counted(self.span),
            _places={},
        )


def geometry_of(operation: Convolution | Linear, given: TensorType) -> Geometry:
    """Return the windows of a layer over an input of a type."""
    if isinstance(operation, Linear):
        return _rows(given.shape)
    return _images(operation, given.shape)


def _rows(shape: tuple[int, ...]) -> Geometry:
    *rows, inputs = shape
    return Geometry(
        shape=shape,
        start=(0, 0),
        padding_codes=None,
        counts=(1, prod(rows)),
        steps=(0, inputs),
        spans=[0],
        span=inputs,
        num_groups=1,
    )


def _images(operation: Convolution, shape: tuple[int, ...]) -> Geometry:
    windows, (channels, height, width) = operation.windows, shape
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(height, width)
    rows, columns = top + height + bottom + below, left + width + right + beside
    row = columns * channels
    (kernel_rows, kernel_columns), (down, across) = windows.kernel, windows.dilation
    # A row of a window is one stretch of memory unless it has gaps.
    is_joined = operation.groups == 1 and (across == 1 or kernel_columns == 1)
    starts = [0] if is_joined else [i * across * channels for i in range(kernel_columns)]
    per_group = channels // operation.groups
    return Geometry(
        shape=(rows, columns, channels),
        start=(top, left),
        padding_codes=operation.padding_codes if (rows, columns) != (height, width) else None,
        counts=windows.output_size(height, width),
        steps=(windows.stride[0] * row, windows.stride[1] * channels),
        spans=[i * down * row + start for i in range(kernel_rows) for start in starts],
        span=kernel_columns * per_group if is_joined else per_group,
        num_groups=operation.groups,
    )


def weights_of(operation: Convolution | Linear) -> NDArray[np.int8]:
    """Return the weights `[O, all numbers of a window]`, channels last."""
    weight = operation.weight
    if isinstance(operation, Convolution):
        weight = weight.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(weight.reshape(len(weight), -1))


def constant_groups(operation: Convolution | Linear) -> int:
    """Return the groups whose outputs are kept apart: not where each has one channel of its own."""
    if isinstance(operation, Linear):
        return 1
    is_depthwise = operation.weight.shape[1] == 1 and operation.groups == len(operation.weight)
    return 1 if is_depthwise else operation.groups
