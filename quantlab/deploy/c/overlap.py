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


def window_gap(windows: Windows, given: Places, result: Places) -> Gap:
    """Return the gap of a step that makes a place of each window."""
    row_begins, row_ends = _reach(windows, given.rows, result.rows, 0)
    column_begins, column_ends = _reach(windows, given.columns, result.columns, 1)
    begins = (row_begins[:, None] * given.columns + column_begins).reshape(-1) * given.size
    ends = ((row_ends - 1)[:, None] * given.columns + column_ends).reshape(-1) * given.size
    written = np.arange(result.count) * result.size
    # What is still read from here on, and up to here.
    from_here = np.minimum.accumulate(begins[::-1])[::-1]
    to_here = np.maximum.accumulate(ends)
    return Gap(
        forward=int((written + result.size - from_here).max()),
        backward=int((to_here - written).max()),
    )


def place_gap(given: Places, result: Places) -> Gap:
    """Return the gap of a step that makes each number of that in its place."""
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
