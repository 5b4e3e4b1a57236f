"""A requantization to bytes in eight bytes a channel, with the same codes, by sums of 64 bits.

All channels share one shift, and the unit that offsets are multiples of:

    y = clamp((multiplier * x + offset * unit) >> shift, low, high)

It is finer than `compact` by what the low words of its products add: for sums of so many bits that
no high word parts their codes. Whether it gives the code of the program for every x that can come
is decided exactly, as there: for the first and the last x of each code y,

    y 2^shift <= multiplier * x + offset * unit < (y + 1) 2^shift
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.channel import Channel, channels_of
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Requantize

_MOST_CODES = 2**8
_SHIFTS = range(62, 31, -1)
_TRIED = (0, 1, -1)
_BITS = 31
_UNITS = 256  # that are tried
_BEYOND = 2**62  # any offset
_KEPT = 2**13  # channels


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
    found = in_units([choices_of(one, shift) for one in channels], _BITS, most_unit=2**_BITS - 1)
    if found is None:
        return None
    multipliers, offsets = np.array(found.constants, np.int64).T
    return Coarse(
        multipliers=multipliers.astype(np.int32),
        offsets=offsets.astype(np.int32),
        unit=found.unit,
        shift=shift,
    )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A multiplier, and the least and the most offset that give the program's codes with it.
    nearest: the offset that is nearest to the program's."""

    multiplier: int
    least: int
    most: int
    nearest: int


@dataclass(frozen=True, kw_only=True)
class InUnits:
    """unit: of all offsets. constants: the multiplier of each channel, and its offset in units."""

    unit: int
    constants: list[tuple[int, int]]


def in_units(
    channels: Sequence[Sequence[Choice]], num_bits: int, *, most_unit: int
) -> InUnits | None:
    """Return a unit of which each channel has a multiple that gives its codes; None if none is
    found.

    num_bits: of the multiples, without their sign.
    """
    if not all(channels):
        return None
    widest = max(abs(choice.nearest) for choices in channels for choice in choices)
    first = widest // 2**num_bits + 1
    common = gcd(*(choices[0].nearest for choices in channels))
    units = [common] if first <= common <= most_unit else []
    for unit in (*units, *range(first, min(first + _UNITS, most_unit + 1))):
        constants = [_in_unit(choices, unit, num_bits) for choices in channels]
        found = [one for one in constants if one is not None]
        if len(found) == len(constants):
            return InUnits(unit=unit, constants=found)
    return None


def _in_unit(choices: Sequence[Choice], unit: int, num_bits: int) -> tuple[int, int] | None:
    for one in choices:
        begin, end = -(-one.least // unit), one.most // unit
        offset = min(max(one.nearest // unit, begin), end)
        if begin <= end and abs(offset) < 2**num_bits:
            return one.multiplier, offset
    return None


def scaled(value: int, shift: int, other: int) -> int:
    """Return a value in units of 2^-other, rounded, that is in units of 2^-shift."""
    if other >= shift:
        return value << (other - shift)
    return (value + (1 << (shift - other - 1))) >> (shift - other)


def _holds(channel: Channel, shift: int) -> bool:
    """Return whether a channel's multiplier fits into 32 bits at a shift, and its neighbors do."""
    multiplier = abs(scaled(channel.multiplier, channel.shift, shift))
    return multiplier + max(_TRIED) < 1 << _BITS


@lru_cache(maxsize=_KEPT)
def choices_of(channel: Channel, shift: int) -> tuple[Choice, ...]:
    """Return the multipliers next to a channel's at a shift that can give its codes.

    The latest are kept: a program becomes C in several encodings.
    """
    ends = list(channel.ends())
    nearest = scaled(channel.offset, channel.shift, shift)
    found = []
    for change in _TRIED:
        multiplier = scaled(channel.multiplier, channel.shift, shift) + change
        # Of the x with one code, that of the least product, and that of the greatest.
        least_x, most_x = (1, 2) if multiplier >= 0 else (2, 1)
        least = (
            (one[0] << shift) - multiplier * one[least_x] for one in ends if one[0] > channel.low
        )
        most = (
            (one[0] + 1 << shift) - 1 - multiplier * one[most_x]
            for one in ends
            if one[0] < channel.high
        )
        choice = Choice(
            multiplier=multiplier,
            least=max(least, default=-_BEYOND),
            most=min(most, default=_BEYOND),
            nearest=nearest,
        )
        if choice.least <= choice.most:
            found.append(choice)
    return tuple(found)
