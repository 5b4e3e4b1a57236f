"""A layered layout: boxes in rows from top to bottom, edges between them that cross no box.

1. Rows: a box comes one row below the lowest box that it needs (longest path); boxes that need none
   stand directly above what needs them.
2. An edge over several rows passes the rows between in places like narrow boxes, which it shares
   with the other edges from its box.
3. Order in the rows: that of the average neighbor, swept up and down; the order with the fewest
   crossings is kept (K. Sugiyama et al., Methods for Visual Understanding of Hierarchical System
   Structures, 1981).
4. Columns: the longest path is the trunk, a straight line; other boxes are as close to the average
   of their neighbors, and passages to the outermost one from the same box, as the order and the
   widths allow, which is an isotonic regression.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_MARGIN = 16.0  # between neighbors in a row
_LANE = 14.0  # the width of an edge that passes a row
_ORDER_SWEEPS = 8
_COLUMN_SWEEPS = 24

Edge = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much room a box takes, in pixels: to the left and right of its middle, and in height."""

    left: float
    right: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where boxes are, and where edges pass the rows between: (x, top, bottom) of each."""

    x: list[float]
    top: list[float]
    row: list[int]
    routes: dict[Edge, list[tuple[float, float, float]]]
    width: float
    height: float
    row_bottom: list[float]


def lay_out(sizes: Sequence[Size], edges: Sequence[Edge], gaps: Sequence[float]) -> Layout:
    """Return places for boxes so that each edge goes downwards.

    edges: from box to box by their numbers, without circles.
    gaps: how much room each box needs above it.
    """
    edges = sorted(set(edges))
    row = _rows(len(sizes), edges)
    passages = _passages(len(sizes), edges, row)
    chains = {
        (upper, lower): [
            upper,
            *(passages[upper, r] for r in range(row[upper] + 1, row[lower])),
            lower,
        ]
        for upper, lower in edges
    }
    narrow = Size(left=_LANE / 2, right=_LANE / 2, height=0)
    all_sizes = [*sizes, *(narrow for _ in passages)]
    all_rows = [*row, *(r for _, r in passages)]
    short = sorted({edge for chain in chains.values() for edge in pairwise(chain)})
    rows = _order(all_rows, short)
    trunk = _trunk(len(sizes), edges, row)
    lanes: dict[int, list[int]] = {}
    for (upper, _), passage in passages.items():
        lanes.setdefault(upper, []).append(passage)
    x = _columns(rows, all_sizes, short, trunk, list(lanes.values()))
    heights = [max(all_sizes[i].height for i in members) for members in rows]
    above = [max(gaps[i] for i in members if i < len(sizes)) for members in rows]
    tops = [sum(heights[:r]) + sum(above[1 : r + 1]) for r in range(len(rows))]
    left = min(x[i] - all_sizes[i].left for i in range(len(x)))
    right = max(x[i] + all_sizes[i].right for i in range(len(x)))
    x = [value - left for value in x]
    return Layout(
        x=x[: len(sizes)],
        top=[tops[r] for r in row],
        row=row,
        routes={
            edge: [
                (x[i], tops[all_rows[i]], tops[all_rows[i]] + heights[all_rows[i]])
                for i in chain[1:-1]
            ]
            for edge, chain in chains.items()
        },
        width=right - left,
        height=tops[-1] + heights[-1],
        row_bottom=[top + height for top, height in zip(tops, heights, strict=True)],
    )


def _rows(number: int, edges: Sequence[Edge]) -> list[int]:
    above: list[list[int]] = [[] for _ in range(number)]
    below: list[list[int]] = [[] for _ in range(number)]
    for upper, lower in edges:
        above[lower].append(upper)
        below[upper].append(lower)
    row = [0] * number
    for box in _topological(above, below):
        row[box] = max((row[other] + 1 for other in above[box]), default=0)
    for box in range(number):
        if not above[box] and below[box]:
            row[box] = min(row[other] for other in below[box]) - 1
    return row


def _topological(above: list[list[int]], below: list[list[int]]) -> list[int]:
    missing = [len(others) for others in above]
    ready = [box for box, count in enumerate(missing) if not count]
    for box in ready:
        for other in below[box]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return ready


def _passages(number: int, edges: Sequence[Edge], row: list[int]) -> dict[tuple[int, int], int]:
    """Return the passages that edges need, by the box that they come from and the row; they are
    numbered on from the boxes."""
    keys = {(upper, r) for upper, lower in edges for r in range(row[upper] + 1, row[lower])}
    return {key: number + i for i, key in enumerate(sorted(keys))}


def _order(row: list[int], edges: Sequence[Edge]) -> list[list[int]]:
    """Return the members of each row from left to right."""
    rows: list[list[int]] = [[] for _ in range(max(row) + 1)]
    for member, r in enumerate(row):
        rows[r].append(member)
    above, below = _neighbors(len(row), edges)
    best, fewest = [list(r) for r in rows], _crossings(rows, below)
    for sweep in range(_ORDER_SWEEPS):
        near, order = (above, rows[1:]) if sweep % 2 == 0 else (below, rows[-2::-1])
        for members in order:
            place = {m: i for r in rows for i, m in enumerate(r)}
            key = {m: _mean([place[o] for o in near[m]], place[m]) for m in members}
            members.sort(key=lambda m: key[m])
        if (count := _crossings(rows, below)) < fewest:
            best, fewest = [list(r) for r in rows], count
    return best


def _neighbors(number: int, edges: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(number)]
    below: list[list[int]] = [[] for _ in range(number)]
    for upper, lower in edges:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        place = {m: i for i, m in enumerate(lower)}
        seen: list[int] = []
        for member in upper:
            ends = sorted(place[o] for o in below[member])
            count += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _trunk(number: int, edges: Sequence[Edge], row: list[int]) -> set[int]:
    """Return the boxes of the longest path; of several, the one that comes first."""
    above, _ = _neighbors(number, edges)
    here = max(range(number), key=lambda box: (row[box], -box))
    trunk = {here}
    while above[here]:
        here = max(above[here], key=lambda box: (row[box], -box))
        trunk.add(here)
    return trunk


def _columns(
    rows: list[list[int]],
    sizes: Sequence[Size],
    edges: Sequence[Edge],
    trunk: set[int],
    lanes: Sequence[Sequence[int]],
) -> list[float]:
    above, below = _neighbors(len(sizes), edges)
    lane_of = {passage: lane for lane in lanes for passage in lane}
    x = [0.0] * len(sizes)
    for members in rows:
        _spread(members, sizes, trunk, x, x)
    for sweep in range(_COLUMN_SWEEPS):
        for members in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = list(x)
            for m in members:
                if m in lane_of:
                    wanted[m] = max((x[o] for o in lane_of[m]), key=abs)
                    continue
                # Boxes stand below boxes rather than below passages.
                near = [o for o in above[m] + below[m] for _ in range(1 if o in lane_of else 4)]
                wanted[m] = _mean([x[o] for o in near], x[m])
            _spread(members, sizes, trunk, wanted, x)
    return x


def _spread(
    members: list[int], sizes: Sequence[Size], trunk: set[int], wanted: list[float], x: list[float]
) -> None:
    """Put the members of a row as close to where they want to be as order and widths allow.

    Minimizes sum of weight (x - wanted)^2 with x[i + 1] - x[i] >= distance, by pooling adjacent
    violators. What is on the trunk wants to be at 0 and has almost all weight.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    offsets = [0.0]
    for left, right in pairwise(members):
        offsets.append(offsets[-1] + sizes[left].right + _MARGIN + sizes[right].left)
    for member, offset in zip(members, offsets, strict=True):
        is_trunk = member in trunk
        weight = 1e6 if is_trunk else 10.0 if sizes[member].height else 1.0
        pool = ((0.0 if is_trunk else wanted[member]) - offset, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, other_weight, count = pools.pop()
            total = other_weight + pool[1]
            pool = ((mean * other_weight + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    means = [mean for mean, _, count in pools for _ in range(count)]
    for member, mean, offset in zip(members, means, offsets, strict=True):
        x[member] = mean + offset


def _mean(values: list[float] | list[int], default: float) -> float:
    return sum(values) / len(values) if values else default
