"""The arena: where each buffer lies in one piece of memory that all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """A buffer of `size` bytes that is written by step `first` and last read by step `last`."""

    size: int
    first: int
    last: int

    def meets(self, other: "Lifetime") -> bool:
        """Return whether both hold something at one time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True)
class Arena:
    """offsets: of each buffer, by its name. size: bytes of all."""

    offsets: Mapping[str, int]
    size: int


def place(lifetimes: Mapping[str, Lifetime]) -> Arena:
    """Return a placement in which no two buffers overlap while both hold something.

    Each order of `_orders` places buffers one by one, at the lowest place that is free; the
    smallest arena is taken, of equal ones the first.
    """
    arenas = [_in_order(lifetimes, order) for order in _orders(lifetimes)]
    return min(arenas, key=lambda arena: arena.size)


def least_size(lifetimes: Mapping[str, Lifetime]) -> int:
    """Return what no placement can be below: the most bytes that are held at one time."""
    steps = {lifetime.first for lifetime in lifetimes.values()}
    return max(
        (
            sum(_aligned(one.size) for one in lifetimes.values() if one.first <= step <= one.last)
            for step in steps
        ),
        default=0,
    )


def _orders(lifetimes: Mapping[str, Lifetime]) -> list[list[str]]:
    names = list(lifetimes)
    by_size = sorted(names, key=lambda name: -lifetimes[name].size)
    by_length = sorted(names, key=lambda n: lifetimes[n].first - lifetimes[n].last)
    by_area = sorted(
        names,
        key=lambda n: -lifetimes[n].size * (1 + lifetimes[n].last - lifetimes[n].first),
    )
    return [by_size, by_length, by_area, names]


def _in_order(lifetimes: Mapping[str, Lifetime], order: Sequence[str]) -> Arena:
    offsets: dict[str, int] = {}
    for name in order:
        own = lifetimes[name]
        taken = sorted(
            (offset, offset + lifetimes[other].size)
            for other, offset in offsets.items()
            if lifetimes[other].meets(own)
        )
        offset = 0
        for start, end in taken:
            if offset + own.size <= start:
                break
            offset = max(offset, _aligned(end))
        offsets[name] = offset
    ends = (offset + lifetimes[name].size for name, offset in offsets.items())
    return Arena(
        offsets={name: offsets[name] for name in lifetimes}, size=_aligned(max(ends, default=0))
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
