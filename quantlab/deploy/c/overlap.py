"""How far the result of a step has to lie from what it reads to be written over it: see `arena`.

A step makes one place of its result after the other, forward or backward, and writes the numbers of
a place from the first to the last while it still reads what it makes them of.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.integer.operations import Windows


@dataclass(frozen=True, kw_only=True)
class Places:
    """Rows and columns of places, and the bytes of one."""

    rows: int
    columns: int
    size: int

    @property
    def count(self) -> int:
        return self.rows * self.columns


def window_gap(
    windows: Windows,
    given: Places,
    result: Places,
    pooling: Windows | None = None,
    at_once: int = 1,
    *,
    is_by_pool: bool = False,
) -> Gap:
    """Return the gap of a step that makes a place of each window.

    at_once: how many places, one behind the other, it makes at once at most; all that they are made
    of is read until the last of them is written.

    pooling: of these places, by windows that do not overlap; each place is then written to that of
    its window in the result. The first one there makes it, so that such a step only goes forward.
    is_by_pool: whether all places of a window of the pooling come together; it leaves out none.
    """
    rows, columns = windows.output_size(given.rows, given.columns)
    row_begins, row_ends = _reach(windows, given.rows, rows, 0)
    column_begins, column_ends = _reach(windows, given.columns, columns, 1)
    begins = (row_begins[:, None] * given.columns + column_begins).reshape(-1) * given.size
    ends = ((row_ends - 1)[:, None] * given.columns + column_ends).reshape(-1) * given.size
    order = np.arange(rows * columns)
    if pooling is not None and is_by_pool:
        high, wide = pooling.kernel
        split = order.reshape(rows // high, high, columns // wide, wide)
        order = split.transpose(0, 2, 1, 3).reshape(-1)
    begins, ends = begins[order], ends[order]
    # What is still read from the first of those at once on, and up to the last of them.
    at = np.arange(rows * columns)
    first, last = (at - at_once + 1).clip(0), (at + at_once - 1).clip(None, len(at) - 1)
    from_here = np.minimum.accumulate(begins[::-1])[::-1][first]
    to_here = np.maximum.accumulate(ends)[last]
    if pooling is None:
        written = np.arange(result.count) * result.size
        backward = int((to_here - written).max())
        return Gap(forward=int((written + result.size - from_here).max()), backward=backward)
    row, is_row = _pooled(pooling, rows, result.rows, 0)
    column, is_column = _pooled(pooling, columns, result.columns, 1)
    written = (row[:, None] * result.columns + column).reshape(-1)[order] * result.size
    is_written = (is_row[:, None] & is_column).reshape(-1)[order]
    forward = int((written + result.size - from_here)[is_written].max())
    return Gap(forward=forward, backward=None)


def place_gap(
    given: Places, result: Places, pooling: Windows | None = None, at_once: int = 1
) -> Gap:
    """Return the gap of a step that makes each number of that in its place. pooling, at_once: as of
    `window_gap`."""
    if pooling is not None or at_once > 1:
        return window_gap(Windows(kernel=(1, 1)), given, result, pooling, at_once)
    at = np.arange(given.count)
    return Gap(
        forward=max(0, given.count * (result.size - given.size)),
        backward=int(((at + 1) * given.size - at * result.size).max()),
    )


def _reach(windows: Windows, size: int, count: int, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where each window begins and ends along an axis, within the input."""
    first = np.arange(count) * windows.stride[axis] - windows.padding[axis]
    last = first + windows.dilation[axis] * (windows.kernel[axis] - 1) + 1
    return first.clip(0, size - 1), last.clip(1, size)


def _pooled(
    pooling: Windows, size: int, count: int, axis: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return in which window each of `size` steps along an axis lies, and whether in any."""
    window, step = np.divmod(np.arange(size), pooling.stride[axis])
    return window, (window < count) & (step < pooling.kernel[axis])
