"""Sequences of places as loops: an axis after the other, each with a size and a step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantlab.floats.operations import Places

AXES = 6  # QL_FLOAT_AXES


@dataclass(frozen=True, kw_only=True)
class Loops:
    """sizes: of the axes, the outermost first. starts: of each sequence. steps: of each sequence
    along each axis."""

    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]


def loops_of(*sequences: Places) -> Loops | None:
    """Return the loops that give sequences of one length; None if that takes too many axes, or a
    step back."""
    rest: Sequence[Places] = sequences
    sizes: list[int] = []
    steps: list[list[int]] = []
    while len(rest[0]) > 1:
        first = [int(one[1] - one[0]) for one in rest]
        size = _run(rest, first)
        if min(first) < 0 or len(rest[0]) % size:
            return None
        rows = [one.reshape(-1, size) for one in rest]
        for row, step in zip(rows, first, strict=True):
            if (np.diff(row, axis=1) != step).any():
                return None
        sizes.append(size)
        steps.append(first)
        rest = [row[:, 0] for row in rows]
    if len(sizes) > AXES:
        return None
    each = zip(*reversed(steps), strict=True) if steps else [()] * len(sequences)
    return Loops(
        sizes=tuple(reversed(sizes)),
        starts=tuple(int(one[0]) for one in sequences),
        steps=tuple(tuple(one) for one in each),
    )


def _run(sequences: Sequence[Places], steps: Sequence[int]) -> int:
    """Return how many places follow one another in these steps."""
    breaks = np.zeros(len(sequences[0]) - 1, bool)
    for one, step in zip(sequences, steps, strict=True):
        breaks |= np.diff(one) != step
    return int(np.argmax(breaks)) + 1 if breaks.any() else len(sequences[0])
