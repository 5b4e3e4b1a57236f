"""The meaning of programs with exits, in NumPy: every sample is followed to all exits, then the
scores of the one at which it leaves are taken.

Shapes: N samples, C classes, E exits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import check_kind
from quantlab.exits.program import ExitProgram
from quantlab.integer.fast import FastEngine
from quantlab.integer.interpreter import run as run_program

Integers = NDArray[Any]


class Left(NamedTuple):
    """Where samples left. scores: `[N, C]`, of that exit. exits: its number, `[N]`, from 0."""

    scores: Integers
    exits: NDArray[np.uint8]


def run(exits: ExitProgram, inputs: Mapping[str, Integers]) -> Left:
    """Return what a program gives for a batch of each input, `[N, ...]`.

    Raises UsageError for inputs of another type or shape.
    """
    check_kind("exits", exits, ExitProgram, "an ExitProgram")
    found = run_program(exits.program, inputs)
    return leave([found[name] for name in exits.scores], exits.thresholds)


def exit_scores(exits: ExitProgram, inputs: Mapping[str, Integers]) -> list[Integers]:
    """Return the scores of all exits for a batch, `[N, C]` each: what thresholds are chosen from.

    Raises UsageError for inputs of another type or shape.
    """
    check_kind("exits", exits, ExitProgram, "an ExitProgram")
    found = FastEngine(exits.program).run(inputs)
    return [found[name] for name in exits.scores]


def leave(scores: Sequence[Integers], thresholds: Sequence[int]) -> Left:
    """Return the scores at which each sample leaves. scores: of each exit, `[N, C]`."""
    confident = [
        margins(one) >= threshold for one, threshold in zip(scores, thresholds, strict=False)
    ]
    confident.append(np.ones(len(scores[-1]), bool))
    exits = np.stack(confident).argmax(0)
    taken = np.stack(scores)[exits, np.arange(len(exits))]
    return Left(taken, exits.astype(np.uint8))


def margins(scores: Integers) -> NDArray[np.int64]:
    """Return how far the largest of each sample's scores `[N, C]` is above all others; 0 if there
    are two of it."""
    highest = np.partition(scores.astype(np.int64), -2, axis=1)
    found: NDArray[np.int64] = highest[:, -1] - highest[:, -2]
    return found
