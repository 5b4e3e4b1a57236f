"""A requantization in eight bytes a channel, with the same codes.

What is stored is smaller than what the program has: a multiplier m of 27 bits with the shift s in
one word, and an offset o of 32 bits that counts in steps of 2^e. All channels share e, and g, how
often sums are doubled so that only upper words have to be shifted:

    y = clamp((m * (x * 2^g) + o * 2^e) >> s, low, high),        32 <= s <= 63

Whether that gives the code of the program for every x that can come is decided exactly. Codes rise
(or fall, where the multiplier is negative) with x, so that it is enough that each code has the same
first and last x: for those of code y

    y 2^s <= m x 2^g + o 2^e < (y + 1) 2^s

which for a given m leaves an interval for o. Multipliers next to the rounded one are tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Requantize

MULTIPLIER_BITS = 27
_SHIFTS = (32, 63)
_MOST_CODES = 2**10
_EXPONENTS = range(8, 31, 2)
_TRIED = (0, 1, -1, 2, -2, 3, -3)


@dataclass(frozen=True, kw_only=True)
class Compact:
    """words: `[C]`, uint32: multiplier * 32 + (shift - 32). offsets: `[C]`, int32. step: 2^e.
    doublings: g."""

    words: NDArray[np.uint32]
    offsets: NDArray[np.int32]
    step: int
    doublings: int


@dataclass(frozen=True, kw_only=True)
class _Channel:
    """One channel as the program has it, of x from `lowest` to `highest`."""

    multiplier: int
    offset: int
    shift: int
    lowest: int
    highest: int
    low: int
    high: int

    @property
    def size(self) -> int:
        """The bits of the multiplier, without a sign."""
        return abs(self.multiplier).bit_length()

    def code(self, x: int) -> int:
        return min(max((self.multiplier * x + self.offset) >> self.shift, self.low), self.high)

    def ends(self) -> Iterator[tuple[int, int, int]]:
        """Yield each code that there is, with the least and the greatest x that have it."""
        first, last = sorted((self.code(self.lowest), self.code(self.highest)))
        for code in range(first, last + 1):
            # Beyond `low` and `high` lie the codes that are clamped to them.
            least = None if code == self.low else (code << self.shift) - self.offset
            most = None if code == self.high else ((code + 1) << self.shift) - 1 - self.offset
            begin, end = self._between(least, most)
            if begin <= end:
                yield code, begin, end

    def _between(self, least: int | None, most: int | None) -> tuple[int, int]:
        """Return the least and the greatest x whose product is within both."""
        if self.multiplier == 0:
            return self.lowest, self.highest
        if self.multiplier < 0:
            least, most = most, least
        begin = self.lowest if least is None else -(-least // self.multiplier)
        end = self.highest if most is None else most // self.multiplier
        return max(begin, self.lowest), min(end, self.highest)


def compact(operation: Requantize, bias: NDArray[np.int32], bound: Bound) -> Compact | None:
    """Return a requantization of sums that lack a bias; None if none has the same codes.

    bias: `[C]`, that the program's sums have. bound: of the sums with it.
    """
    if operation.high - operation.low >= _MOST_CODES:
        return None
    channels = _channels(operation, bias, bound)
    doublings = max(max(_doublings(one) for one in channels), 0)
    if any(max(-one.lowest, one.highest) << doublings >= 2**31 for one in channels):
        return None
    for exponent in _EXPONENTS:
        found: list[tuple[int, int, int]] = []
        for channel in channels:
            fitted = _fitted(channel, doublings, exponent)
            if fitted is None:
                break
            found.append(fitted)
        if len(found) == len(channels):
            multipliers, offsets, shifts = np.array(found, np.int64).T
            words = (multipliers << 5 | (shifts - _SHIFTS[0])) & (2**32 - 1)
            return Compact(
                words=words.astype(np.uint32),
                offsets=offsets.astype(np.int32),
                step=2**exponent,
                doublings=doublings,
            )
    return None


def _channels(operation: Requantize, bias: NDArray[np.int32], bound: Bound) -> list[_Channel]:
    def each(values: NDArray[Any]) -> list[int]:
        found: list[int] = np.broadcast_to(values.reshape(-1), len(bias)).tolist()
        return found

    return [
        _Channel(
            multiplier=multiplier,
            offset=offset + multiplier * added,
            shift=shift,
            lowest=lowest - added,
            highest=highest - added,
            low=operation.low,
            high=operation.high,
        )
        for multiplier, offset, shift, added, lowest, highest in zip(
            *(each(one) for one in (operation.multiplier, operation.offset, operation.shift)),
            *(each(one) for one in (bias, bound.low, bound.high)),
            strict=True,
        )
    ]


def _doublings(channel: _Channel) -> int:
    """Return how often sums have to be doubled for a shift of 32 with a short multiplier."""
    return _SHIFTS[0] - channel.shift - (MULTIPLIER_BITS - 1 - channel.size)


def _fitted(channel: _Channel, doublings: int, exponent: int) -> tuple[int, int, int] | None:
    """Return multiplier, offset and shift of a channel; None if none gives the same codes."""
    # As long as bits and shifts allow, and an offset of the largest code has 32 bits.
    code_bits = max(abs(channel.low), abs(channel.high)).bit_length()
    most = min(_SHIFTS[1], exponent + 30 - code_bits)
    longer = min(MULTIPLIER_BITS - 1 - channel.size, most - channel.shift - doublings)
    shift = channel.shift + doublings + longer
    if shift < _SHIFTS[0]:
        return None
    rounded = round(Fraction(channel.multiplier) * Fraction(2) ** longer)
    for change in _TRIED:
        multiplier = rounded + change
        if not -(2 ** (MULTIPLIER_BITS - 1)) <= multiplier < 2 ** (MULTIPLIER_BITS - 1):
            continue
        least, most = _offsets(channel, multiplier << doublings, shift)
        # The first multiple of 2^e that is not below.
        offset = max(-(-least >> exponent), -(2**31))
        if offset << exponent <= most and offset < 2**31:
            return multiplier, offset, shift
    return None


def _offsets(channel: _Channel, multiplier: int, shift: int) -> tuple[int, int]:
    """Return the least and the most offset that give the codes of all x; the least is above the
    most where none does."""
    least, most = -(2**61), 2**61
    for code, *ends in channel.ends():
        for x in ends:
            if code > channel.low:
                least = max(least, (code << shift) - multiplier * x)
            if code < channel.high:
                most = min(most, ((code + 1) << shift) - 1 - multiplier * x)
    return least, most
