"""Channels of a requantization, and which numbers have which code."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Requantize


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel as the program has it, of x from `lowest` to `highest`."""

    multiplier: int
    offset: int
    shift: int
    lowest: int
    highest: int
    low: int
    high: int

    @property
    def plain(self) -> "Channel":
        """The same without a multiplier if only one x comes: rows without weights may have any."""
        if self.lowest < self.highest:
            return self
        return replace(self, multiplier=0, offset=self.offset + self.multiplier * self.lowest)

    def code(self, x: int) -> int:
        """Return the code of a number."""
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


def channels_of(operation: Requantize, bias: NDArray[np.int32], bound: Bound) -> list[Channel]:
    """Return the channels of a requantization of sums that lack a bias.

    bias: `[C]`, that the program's sums have. bound: of the sums with it.
    """

    def each(values: NDArray[Any]) -> list[int]:
        found: list[int] = np.broadcast_to(values.reshape(-1), len(bias)).tolist()
        return found

    return [
        Channel(
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
