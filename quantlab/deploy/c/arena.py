"""The arena: where each buffer lies in one piece of memory that all of them share.

A step may write over what it reads for the last time, if each number is written where nothing is
that is still read. For a step that goes forward, place by place, that is so if the result begins at
least a gap before what is read; for one that goes backward, if it begins a gap behind it. Offsets
are counted from any place while buffers are placed, and from the lowest in the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ALIGNMENT = 4


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far a step's result lies from what it reads, in bytes: at least `forward` before it where
    the step goes forward, `backward` behind it where it goes backward; None if it cannot. Both may
    be negative."""

    forward: int
    backward: int | None


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """A buffer of `size` bytes that is written by step `first` and last read by step `last`.

    over: of what step `first` reads for the last time, that which this buffer may lie over.
    """

    size: int
    first: int
    last: int
    over: Mapping[str, Gap] = field(default_factory=dict)

    def meets(self, other: "Lifetime") -> bool:
        """Return whether both hold something at one time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True)
class Arena:
    """offsets: of each buffer, by its name. size: bytes of all. backward: the steps that go so."""

    offsets: Mapping[str, int]
    size: int
    backward: frozenset[int] = frozenset()


def place(lifetimes: Mapping[str, Lifetime]) -> Arena:
    """Return a placement in which no two buffers overlap while both hold something, but for what a
    step reads and writes in its order.

    Buffers are placed one by one where they make the arena grow least, in several orders, with
    several choices of the steps that go backward; the smallest arena is taken, of equal ones the
    first.
    """
    steps = sorted({one.first for one in lifetimes.values() if one.over})
    free = [step for step in steps if _may_go_backward(lifetimes, step)]
    # Every other step, of all or of those that may.
    every_other = [chosen[start::2] for chosen in (steps, free) for start in (1, 0)]
    choices = [frozenset(chosen) & frozenset(free) for chosen in every_other] if free else []
    arenas = [
        _in_order(lifetimes, order, backward)
        for backward in dict.fromkeys((frozenset[int](), *choices))
        for order in _orders(lifetimes)
    ]
    return min(arenas, key=lambda arena: arena.size)


def _may_go_backward(lifetimes: Mapping[str, Lifetime], step: int) -> bool:
    written = (one for one in lifetimes.values() if one.first == step)
    return all(gap.backward is not None for one in written for gap in one.over.values())


def _orders(lifetimes: Mapping[str, Lifetime]) -> list[list[str]]:
    names = list(lifetimes)
    by_size = sorted(names, key=lambda name: -lifetimes[name].size)
    by_length = sorted(names, key=lambda n: lifetimes[n].first - lifetimes[n].last)
    by_area = sorted(
        names,
        key=lambda n: -lifetimes[n].size * (1 + lifetimes[n].last - lifetimes[n].first),
    )
    return [by_size, by_length, by_area, names]


def _in_order(
    lifetimes: Mapping[str, Lifetime], order: Sequence[str], backward: frozenset[int]
) -> Arena:
    offsets: dict[str, int] = {}
    begin, end = 0, 0
    for name in order:
        own = lifetimes[name]
        # Of each buffer in the way: from where to where this one may not begin.
        closed = [
            _closed(lifetimes, name, other, offset, backward)
            for other, offset in offsets.items()
            if lifetimes[other].meets(own)
        ]
        edges = {begin, *(edge for first, last in closed for edge in (first - 1, last + 1))}
        aligned = {edge // ALIGNMENT * ALIGNMENT for edge in edges}
        aligned |= {-(-edge // ALIGNMENT) * ALIGNMENT for edge in edges}
        free = [
            offset
            for offset in aligned
            if not any(first <= offset <= last for first, last in closed)
        ]
        offsets[name] = min(
            free, key=lambda at: (max(end, at + own.size) - min(begin, at), abs(at - begin), at)
        )
        begin = min(begin, offsets[name])
        end = max(end, offsets[name] + own.size)
    return Arena(
        offsets={name: offsets[name] - begin for name in lifetimes},
        size=-(-(end - begin) // ALIGNMENT) * ALIGNMENT,
        backward=backward,
    )


def _closed(
    lifetimes: Mapping[str, Lifetime],
    name: str,
    other: str,
    offset: int,
    backward: frozenset[int],
) -> tuple[int, int]:
    """Return the first and the last offset at which a buffer would be in the way of another one, or
    it in that one's."""
    own, others = lifetimes[name], lifetimes[other]
    first, last = offset - own.size + 1, offset + others.size - 1
    if other in own.over:
        gap = own.over[other]
        if own.first in backward and gap.backward is not None:
            return first, min(last, offset + gap.backward - 1)
        return max(first, offset - gap.forward + 1), last
    if name in others.over:
        gap = others.over[name]
        if others.first in backward and gap.backward is not None:
            return max(first, offset - gap.backward + 1), last
        return first, min(last, offset + gap.forward - 1)
    return first, last
