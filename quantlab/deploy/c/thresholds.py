"""Thresholds in the fewest bytes that hold them: beyond the numbers that can come all are alike.

A number that is negated reaches a threshold t where -x >= t. In C all its bits are inverted, which
is -x - 1 and has no overflow, and so its thresholds are t - 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Threshold

_BEYOND = 2**40  # any number of 32 bits


@dataclass(frozen=True, kw_only=True)
class Counted:
    """thresholds: `[C, L]` of 16, 32 or 64 bits. inverted: `[C]`, -1 where all bits of a number are
    inverted first, else 0."""

    thresholds: NDArray[Any]
    inverted: NDArray[np.int8]


def counted(operation: Threshold, bias: NDArray[np.int32], bound: Bound) -> Counted:
    """Return the thresholds of numbers that lack a bias.

    bias: `[C]`, of one channel or as many as there are. bound: of the numbers with it.
    """
    is_one = len(operation.thresholds) == 1 and bool((bias == bias.flat[0]).all())
    channels = 1 if is_one else max(len(operation.thresholds), bias.size)
    bias = np.broadcast_to(bias.flat[:1] if is_one else bias.reshape(-1), channels).astype(np.int64)
    low, high = (ends - bias for ends in _ends(bound, channels))
    inverted = np.broadcast_to(operation.signs < 0, channels)
    least, most = np.where(inverted, ~high, low), np.where(inverted, ~low, high) + 1
    within = operation.thresholds.clip(-_BEYOND, _BEYOND)
    moved = within + np.where(inverted, bias - 1, -bias)[:, None]
    thresholds = moved.clip(least[:, None], most[:, None])
    return Counted(
        thresholds=thresholds.astype(_smallest(thresholds)), inverted=-inverted.astype(np.int8)
    )


def _ends(bound: Bound, channels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the lowest and the highest number of each channel."""
    if bound.low.size == channels:
        return bound.low.reshape(-1).astype(np.int64), bound.high.reshape(-1).astype(np.int64)
    return np.full(channels, bound.lowest), np.full(channels, bound.highest)


def _smallest(values: NDArray[Any]) -> type[np.signedinteger[Any]]:
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return kind
    return np.int64
