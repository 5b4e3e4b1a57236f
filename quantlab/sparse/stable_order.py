"""Sorting by several keys."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Key = NDArray[np.int64] | NDArray[np.int32]


def stable_order(keys: Sequence[Key]) -> Places:
    """Return `np.lexsort(keys)`, of keys `[N]` from 0 on: the last one is the most important.

    NumPy sorts integers of 8 and 16 bits by their digits, in a part of the time that others take.
    """
    order: Places | None = None
    for key in keys:
        narrow = key.astype(np.min_scalar_type(key.max(initial=0)))
        ordered = narrow if order is None else narrow[order]
        if (ordered[1:] < ordered[:-1]).any():
            found = np.argsort(ordered, kind="stable")
            order = found if order is None else order[found]
    return np.arange(len(keys[0]), dtype=np.int64) if order is None else order
