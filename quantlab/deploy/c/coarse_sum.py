"""A sum of two tensors to bytes in eight bytes a channel, with the same codes.

Sums of a layer have constants of each channel, what is added has one factor for all. With one shift
and one unit of offsets for all channels too:

    y = clamp((multiplier * x + other_multiplier * other + offset * unit) >> shift, low, high)

Whether that gives the code of the program for every x and every code that is added is decided
exactly. For each code that is added both neighbors must have theirs where x makes a code give way
to the next.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.coarse import Choice, in_units, scaled
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Add

_MOST_CODES = 2**8
_TRIED = (0, 1, -1)
_BITS = 31
_MOST_SHIFT = 48
_WIDE: int = 2**58  # sums of a few such integers are exact in NumPy's 64 bits
_KEPT = 2**12  # channels


@dataclass(frozen=True, kw_only=True)
class CoarseSum:
    """multipliers, offsets: `[C]`. doublings: of both inputs, so that the shift, and the unit with
    it, is one by 32 bits at least."""

    multipliers: NDArray[np.int32]
    offsets: NDArray[np.int32]
    other_multiplier: int
    unit: int
    shift: int
    doublings: int


@dataclass(frozen=True, kw_only=True)
class _Channel:
    """One channel as the program has it, of x from `lowest` to `highest`."""

    multiplier: int
    other_multiplier: int
    offset: int
    shift: int
    lowest: int
    highest: int

    @property
    def plain(self) -> "_Channel":
        """As that of `Channel`."""
        if self.lowest < self.highest:
            return self
        return replace(self, multiplier=0, offset=self.offset + self.multiplier * self.lowest)


def coarse_sum(
    operation: Add,
    side: int,
    bias: NDArray[np.int32],
    bounds: tuple[Bound, Bound],
    *,
    num_bits: int = _BITS,
) -> CoarseSum | None:
    """Return a sum of which x lacks a bias; None if none has the same codes.

    side: which input is x. bias: `[C]`, that the program's x has. bounds: of x with it, and of what
    is added. num_bits: of multipliers and offsets, without their sign.
    """
    limit = 2**num_bits
    codes = range(bounds[1].lowest, bounds[1].highest + 1)
    if max(len(codes), operation.high - operation.low + 1) > _MOST_CODES:
        return None
    channels = _channels_of(operation, side, bias, bounds[0])
    shift = min(
        one.shift
        + min(
            num_bits - max(abs(one.multiplier), 1).bit_length(),
            _BITS - max(abs(one.other_multiplier), 1).bit_length(),
        )
        for one in channels
    )
    finest = max(channels, key=lambda one: one.shift)
    added = scaled(finest.other_multiplier, finest.shift, shift)
    widest = max(max(-one.lowest, one.highest, *map(abs, codes)) for one in channels)
    doublings = max(0, 32 - shift)
    if (
        not 0 <= shift <= _MOST_SHIFT
        or finest.shift > _MOST_SHIFT
        or abs(added) >= 2**_BITS
        or (widest << doublings) >= 2**_BITS
        or max(abs(one.offset) for one in channels) >= _WIDE
        or widest * 2**_BITS >= _WIDE
    ):
        return None
    made = (operation.low, operation.high)
    choices = [_choices(made, one, codes, added, shift, limit) for one in channels]
    found = in_units(choices, num_bits, most_unit=(2**_BITS - 1) >> doublings)
    if found is None:
        return None
    multipliers, offsets = np.array(found.constants, np.int64).T
    return CoarseSum(
        multipliers=multipliers.astype(np.int32),
        offsets=offsets.astype(np.int32),
        other_multiplier=added,
        unit=found.unit << doublings,
        shift=shift + doublings,
        doublings=doublings,
    )


def _channels_of(
    operation: Add, side: int, bias: NDArray[np.int32], bound: Bound
) -> list[_Channel]:
    def each(values: NDArray[Any]) -> list[int]:
        found: list[int] = np.broadcast_to(values.reshape(-1), len(bias)).tolist()
        return found

    constants = (
        operation.multipliers[side],
        operation.multipliers[1 - side],
        operation.offset,
        operation.shift,
    )
    channels = [
        _Channel(
            multiplier=multiplier,
            other_multiplier=other,
            offset=offset + multiplier * added,
            shift=shift,
            lowest=lowest - added,
            highest=highest - added,
        )
        for multiplier, other, offset, shift, added, lowest, highest in zip(
            *(each(one) for one in constants),
            *(each(one) for one in (bias, bound.low, bound.high)),
            strict=True,
        )
    ]
    return [one.plain for one in channels]


@lru_cache(maxsize=_KEPT)
def _choices(
    made: tuple[int, int], channel: _Channel, codes: range, added: int, shift: int, limit: int
) -> tuple[Choice, ...]:
    """Return the multipliers of a channel that can give its codes. made: the least and the largest
    code. The latest are kept: a program becomes C in several encodings."""
    other_O1 = np.array(codes, np.int64)[:, None]
    code_C = np.arange(made[0] + 1, made[1] + 1, dtype=np.int64)
    last, next_ = _neighbors(channel, other_O1, code_C)
    is_last = (channel.lowest <= last) & (last <= channel.highest)
    is_next = (channel.lowest <= next_) & (next_ <= channel.highest)
    around = (code_C << shift) - added * other_O1
    found = []
    for change in _TRIED:
        multiplier = scaled(channel.multiplier, channel.shift, shift) + change
        choice = Choice(
            multiplier=multiplier,
            least=int((around - multiplier * next_)[is_next].max(initial=-_WIDE)),
            most=int((around - 1 - multiplier * last)[is_last].min(initial=_WIDE)),
            nearest=scaled(channel.offset, channel.shift, shift),
        )
        if choice.least <= choice.most and abs(multiplier) < limit:
            found.append(choice)
    return tuple(found)


def _neighbors(
    channel: _Channel, other_O1: NDArray[np.int64], code_C: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the last x with a code below each of `code_C`, and its neighbor, the next one, which
    reaches that code; both may lie beyond those that can come."""
    missing = (code_C << channel.shift) - channel.offset - channel.other_multiplier * other_O1
    step = -1 if channel.multiplier < 0 else 1
    factor = abs(channel.multiplier)
    if factor == 0:
        # Any x at all: the lowest stands for them.
        next_ = np.where(missing <= 0, channel.lowest, channel.lowest + 1)
    else:
        next_ = -(-missing // factor) * step
    begin, end = sorted((channel.lowest - 1, channel.highest + 1))
    next_ = next_.clip(begin + (step > 0), end - (step < 0))
    return next_ - step, next_
