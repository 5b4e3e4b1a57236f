"""A requantization to bytes in eight bytes a channel, with the same codes.

What is stored is smaller than what the program has. Of each channel it is one word, which is the
multiplier and in whose last five bits stands the shift, and an offset of 32 bits; all channels
share g, how often sums are doubled:

    y = low + clamp((high_word(word * (x * 2^g)) + offset) >> (word mod 32), 0, high - low)

where the high word of a product of 64 bits is that of bits 32 to 63. Whether that gives the code of
the program for every x that can come is decided exactly. Codes rise (or fall, where the multiplier
is negative) with x, so that it is enough that each code has the same first and last x: for those of
code y, with s the shift and h(x) the high word,

    (y - low) 2^s <= h(x) + offset < (y - low + 1) 2^s

which for a given word leaves an interval for the offset. Words next to the nearest one are tried,
from the longest shift on, which rounds least.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.channel import Channel, channels_of
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Requantize

_MOST_CODES = 2**8
_WORD = 32
_SHIFTS = range(31, -1, -1)
_TRIED = (0, 1, -1, 2, -2)


@dataclass(frozen=True, kw_only=True)
class Compact:
    """words, offsets: `[C]`. doublings: g."""

    words: NDArray[np.int32]
    offsets: NDArray[np.int32]
    doublings: int


def compact(operation: Requantize, bias: NDArray[np.int32], bound: Bound) -> Compact | None:
    """Return a requantization of sums that lack a bias; None if none has the same codes.

    bias: `[C]`, that the program's sums have. bound: of the sums with it.
    """
    if operation.high - operation.low >= _MOST_CODES:
        return None
    channels = channels_of(operation, bias, bound)
    widest = max(max(-one.lowest, one.highest, 1).bit_length() for one in channels)
    doublings = _WORD - 1 - widest
    if doublings < 0:
        return None
    found = []
    for channel in channels:
        fitted = _fitted(channel, doublings)
        if fitted is None:
            return None
        found.append(fitted)
    words, offsets = np.array(found, np.int64).T
    return Compact(
        words=words.astype(np.int32), offsets=offsets.astype(np.int32), doublings=doublings
    )


def _fitted(channel: Channel, doublings: int) -> tuple[int, int] | None:
    """Return word and offset of a channel; None if none gives the same codes."""
    ends = list(channel.ends())
    for shift in _SHIFTS:
        exact = Fraction(channel.multiplier) * Fraction(2) ** (
            shift + _WORD - doublings - channel.shift
        )
        for change in _TRIED:
            # The nearest word whose last bits are the shift.
            word = (round((exact - shift) / _WORD) + change) * _WORD + shift
            if not -(2**31) <= word < 2**31:
                continue
            least, most = _offsets(channel, ends, word, shift, doublings)
            # High words have 31 bits; with an offset of as many they fit into 32.
            offset = max(least, -(2**30))
            if offset <= most and offset < 2**30:
                return word, offset
    return None


def _offsets(
    channel: Channel, ends: list[tuple[int, int, int]], word: int, shift: int, doublings: int
) -> tuple[int, int]:
    """Return the least and the most offset that give the codes of all x; the least is above the
    most where none does."""
    least, most = -(2**40), 2**40
    for code, *both in ends:
        for x in both:
            high_word = (word * (x << doublings)) >> _WORD
            if code > channel.low:
                least = max(least, ((code - channel.low) << shift) - high_word)
            if code < channel.high:
                most = min(most, ((code - channel.low + 1) << shift) - 1 - high_word)
    return least, most
