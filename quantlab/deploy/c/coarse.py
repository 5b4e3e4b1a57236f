"""A requantization to bytes in eight bytes a channel, with the same codes, by sums of 64 bits.

All channels share one shift, and the unit that offsets are multiples of:

    y = clamp((multiplier * x + offset * unit) >> shift, low, high)

It is finer than `compact` by what the low words of its products add: for sums of so many bits that
no high word parts their codes. Whether it gives the code of the program for every x that can come
is decided exactly, as there: for the first and the last x of each code y,

    y 2^shift <= multiplier * x + offset * unit < (y + 1) 2^shift
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.channel import Channel, channels_of
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Requantize

_MOST_CODES = 2**8
_SHIFTS = range(62, 31, -1)
_TRIED = (0, 1, -1)
_BITS = 31
_LIMIT: int = 2**_BITS


@dataclass(frozen=True, kw_only=True)
class Coarse:
    """multipliers, offsets: `[C]`."""

    multipliers: NDArray[np.int32]
    offsets: NDArray[np.int32]
    unit: int
    shift: int


def coarse(operation: Requantize, bias: NDArray[np.int32], bound: Bound) -> Coarse | None:
    """Return a requantization of sums that lack a bias; None if none has the same codes.

    bias: `[C]`, that the program's sums have. bound: of the sums with it.
    """
    if operation.high - operation.low >= _MOST_CODES:
        return None
    channels = channels_of(operation, bias, bound)
    shift = next((s for s in _SHIFTS if all(_holds(one, s) for one in channels)), None)
    if shift is None:
        return None
    nearest = max(abs(_scaled(one.offset, one.shift, shift)) for one in channels)
    unit = 2 ** max(0, nearest.bit_length() - _BITS)
    if unit.bit_length() > _BITS:
        return None
    found = []
    for channel in channels:
        fitted = _fitted(channel, shift, unit)
        if fitted is None:
            return None
        found.append(fitted)
    multipliers, offsets = np.array(found, np.int64).T
    return Coarse(
        multipliers=multipliers.astype(np.int32),
        offsets=offsets.astype(np.int32),
        unit=unit,
        shift=shift,
    )


def _scaled(value: int, shift: int, other: int) -> int:
    """Return a value in units of 2^-other, rounded, that is in units of 2^-shift."""
    if other >= shift:
        return value << (other - shift)
    return (value + (1 << (shift - other - 1))) >> (shift - other)


def _holds(channel: Channel, shift: int) -> bool:
    """Return whether a channel's multiplier fits into 32 bits at a shift, and its neighbors do."""
    multiplier = abs(_scaled(channel.multiplier, channel.shift, shift))
    return multiplier + max(_TRIED) < _LIMIT


def _fitted(channel: Channel, shift: int, unit: int) -> tuple[int, int] | None:
    """Return multiplier and offset of a channel; None if none gives the same codes."""
    ends = list(channel.ends())
    nearest = _scaled(channel.offset, channel.shift, shift)
    for change in _TRIED:
        multiplier = _scaled(channel.multiplier, channel.shift, shift) + change
        least = [
            (code << shift) - multiplier * x
            for code, *both in ends
            for x in both
            if code > channel.low
        ]
        most = [
            ((code + 1 << shift) - 1) - multiplier * x
            for code, *both in ends
            for x in both
            if code < channel.high
        ]
        begin = -(-max(least, default=nearest) // unit)
        end = min(most, default=nearest) // unit
        if begin > end:
            continue
        offset = min(max(round(nearest / unit), begin), end)
        if abs(offset) < _LIMIT:
            return multiplier, offset
    return None
