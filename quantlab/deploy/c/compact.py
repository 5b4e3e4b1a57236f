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
from functools import lru_cache

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


@lru_cache(maxsize=2**14)
def _fitted(channel: Channel, doublings: int) -> tuple[int, int] | None:
    """Return word and offset of a channel; None if none gives the same codes."""
    found = list(channel.ends())
    codes = np.array([code for code, _, _ in found], np.int64)
    ends = np.array([both for _, *both in found], np.int64).T << doublings  # 31 bits at most
    for shift in _SHIFTS:
        power = shift + _WORD - doublings - channel.shift
        for change in _TRIED:
            # The nearest word whose last bits are the shift.
            word = (_nearest(channel.multiplier, power, shift) + change) * _WORD + shift
            if not -(2**31) <= word < 2**31:
                continue
            least, most = _offsets(channel, codes, ends, word, shift)
            # High words have 31 bits; with an offset of as many they fit into 32.
            offset = max(least, -(2**30))
            if offset <= most and offset < 2**30:
                return word, offset
    return None


def _nearest(multiplier: int, power: int, shift: int) -> int:
    """Return (multiplier 2^power - shift) / 32, rounded half to even."""
    up, down = max(power, 0), max(-power, 0)
    whole, rest = divmod((multiplier << up) - (shift << down), _WORD << down)
    twice = 2 * rest - (_WORD << down)
    return whole + (twice > 0 or (twice == 0 and whole % 2))


def _offsets(
    channel: Channel,
    codes: NDArray[np.int64],
    ends: NDArray[np.int64],
    word: int,
    shift: int,
) -> tuple[int, int]:
    """Return the least and the most offset that give the codes of all x; the least is above the
    most where none does.

    codes: `[codes]`. ends: `[2, codes]`, their first and last x, doubled.
    """
    high_words = (word * ends) >> _WORD
    from_low = (codes - channel.low) << shift
    above, below = codes > channel.low, codes < channel.high
    least = (from_low - high_words)[:, above].max(initial=-(2**40))
    most = (from_low + (1 << shift) - 1 - high_words)[:, below].min(initial=2**40)
    return int(least), int(most)
