"""Places as a few numbers: most are the elements of an array along some axes.

Places p are written as the first one and, from the outermost axis on, counts and steps:

    p[i, j, ...] = first + i * step_i + j * step_j + ...        in one row

and as the list of all that axes do not describe.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]


def to_plain(places: Places) -> list[int] | list[list[int]]:
    """Return places as `[first, count, step, count, step, ...]`, or all of them in a list."""
    row, axes = places.reshape(-1), list[int]()
    while row.size > 1:
        step = int(row[1] - row[0])
        jumps = np.flatnonzero(np.diff(row) != step)
        count = int(jumps[0]) + 1 if jumps.size else row.size
        if row.size % count or count == 1:
            return [places.reshape(-1).tolist()]
        groups = row.reshape(-1, count)
        if not (groups == groups[:, :1] + step * np.arange(count)).all():
            return [places.reshape(-1).tolist()]
        axes = [count, step, *axes]
        row = groups[:, 0]
    return [int(row[0]), *axes] if row.size else [list[int]()]


def from_plain(plain: Sequence[int] | Sequence[Sequence[int]], most: int) -> Places:
    """Return places `[N]`. most: that there may be. Raises ValueError for what `to_plain` does not
    give, and for more."""
    if len(plain) == 1 and isinstance(plain[0], list | tuple):
        if any(type(place) is not int for place in plain[0]):
            raise ValueError(f"places of {plain}")
        return np.array(plain[0], np.intp)
    numbers = [number for number in plain if isinstance(number, int)]
    first, counts, steps = plain[0], numbers[1::2], numbers[2::2]
    if len(numbers) != len(plain) or len(counts) != len(steps):
        raise ValueError(f"places of {plain}")
    if any(count < 1 for count in counts) or prod(counts) > most:
        raise ValueError(f"places of {plain}")
    places = np.array([first], np.intp)
    for count, step in zip(counts, steps, strict=True):
        places = (places[:, None] + step * np.arange(count)).reshape(-1)
    return places
