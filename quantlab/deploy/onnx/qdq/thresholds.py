"""Where rounding to the nearest gives the codes of thresholds, as `QuantizeLinear` rounds."""

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations import Threshold
from quantlab.integer.program import Reading

Reals = NDArray[np.float64]
_TIE = 1e-6  # in steps of accumulators, or of codes where no accumulator counts


def rounded_range(
    operation: Threshold, reading: Reading, grid: Reading, *, num_axes: int, reach: int
) -> tuple[int, int] | None:
    """Return the codes between which a number is to be clamped and then rounded to the nearest, so
    that the operation's code comes out for all integers; None if there are none such.

    A threshold must lie above the middle between its two codes by no more than 1, so that no
    integer is a tie, which `QuantizeLinear` rounds to even. Where a channel's scale is 0, its
    offset alone must give the code.

    reading, grid: the real numbers that the input and the codes stand for. num_axes: of the input.
    reach: the largest integer of the input, whatever its sign.
    """
    ones = (1,) * (num_axes - 1)
    slope = operation.signs.reshape(-1, *ones) * reading.scale
    if operation.step != 1 or (slope < 0).any():
        return None
    num_channels, num_levels = operation.thresholds.shape
    first = operation.thresholds.T.reshape(num_levels, num_channels, *ones)
    codes = np.arange(operation.low, operation.high).reshape(num_levels, 1, *ones)
    middle = _quotient(grid(codes + 0.5) - reading.offset, slope, _TIE * grid.scale)
    is_always, is_never = first <= -reach, first > reach
    is_below, is_above = middle < first - _TIE, middle > first - 1 + _TIE
    is_reached, is_missed = middle < -reach - _TIE, middle > reach + _TIE
    is_parted = (is_below & is_above) | (is_always & is_reached) | (is_never & is_missed)
    # What all channels reach, or none, such as what is below a ReLU, is left to the clamp.
    by_level = tuple(range(1, first.ndim))
    start = int(is_always.all(by_level).sum())
    stop = num_levels - int(is_never.all(by_level).sum())
    if not is_parted[start:stop].all():
        return None
    return operation.low + start, operation.low + stop


def _quotient(distance: Reals, slope: Reals, tie: Reals) -> Reals:
    """Return distance / slope; where the slope is 0 an infinity, and for a tie there no number."""
    is_flat = slope == 0
    ends = np.where(np.abs(distance) > tie, np.copysign(np.inf, distance), np.nan)
    return np.where(is_flat, ends, distance / np.where(is_flat, 1.0, slope))
