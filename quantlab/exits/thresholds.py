"""Which thresholds exits get, chosen on validation data.

One level p serves all exits. Each gets the least threshold with which at least a share p of the
samples that it would let go, of all samples, have its largest score at their class. A higher level
never lowers a threshold, so no sample leaves earlier and the expected cost never falls. All levels
at which anything changes are counted, by one sort; sums of whole numbers are exact.

Shapes: N samples, C classes, E exits, the last of which has no threshold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, check_kind
from quantlab.exits.interpreter import margins
from quantlab.exits.program import NEVER

_Floats = NDArray[np.float64]


def choose_thresholds(
    scores: Sequence[NDArray[Any]],
    targets: NDArray[Any],
    *,
    floor: float | None = None,
    cost: float | None = None,
    costs: Sequence[float] | None = None,
) -> tuple[int, ...]:
    """Return a threshold for each exit but the last: the lowest whose accuracy is at least a floor,
    or the highest whose expected cost is at most a given one.

    scores: of each exit on validation data, integers `[N, C]`, as `exit_scores` gives them.
    targets: the classes, `[N]`. floor: in percent of these samples. cost: of a sample on average,
    in the unit of costs. costs: of a sample that leaves at each exit, such as `exit_macs`.

    Raises UsageError for anything else, and, with the best that can be had, for a floor or a cost
    that no thresholds reach.
    """
    scores, targets = check_scores(scores, targets)
    if (floor is None) == (cost is None):
        raise UsageError(f"floor, cost: {floor} and {cost} given, one of the two allowed, a number")
    right = np.stack([one.argmax(1) == targets for one in scores])
    found = [_levels(margins(one), correct) for one, correct in zip(scores, right, strict=True)]
    reached = np.maximum.accumulate([*found[:-1], np.full(len(targets), np.inf)], axis=0)
    if floor is not None:
        check_number("floor", floor)
        candidates, accuracy = _means(reached, 100.0 * right)
        enough = np.flatnonzero(accuracy >= floor)
        if not len(enough):
            raise UsageError(
                f"floor: {floor} % given, at most {accuracy.max():.2f} % can be had on the "
                "validation data"
            )
        level = candidates[enough[0]]
    else:
        assert cost is not None
        check_number("cost", cost)
        each = check_costs(costs, len(scores))
        candidates, expected = _means(reached, np.tile(each[:, None], len(targets)))
        enough = np.flatnonzero(expected <= cost)
        if not len(enough):
            raise UsageError(f"cost: {cost} given, at least {expected.min():.6g} can be had")
        level = candidates[enough[-1]]
    return tuple(
        int(margins(one)[own >= level].min(initial=NEVER))
        for one, own in zip(scores[:-1], found[:-1], strict=True)
    )


def _levels(margin: NDArray[np.int64], correct: NDArray[np.bool_]) -> _Floats:
    """Return up to which level each sample leaves at an exit: the largest share of right answers
    that any threshold up to its margin has."""
    order = np.argsort(margin, kind="stable")[::-1]
    ordered = margin[order]
    shares = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    # Samples of one margin leave together.
    ends = np.append(ordered[1:] != ordered[:-1], True)
    last = np.minimum.accumulate(np.where(ends, np.arange(len(order)), len(order))[::-1])[::-1]
    shares = shares[last]
    best = np.maximum.accumulate(shares[::-1])[::-1]
    found = np.empty(len(order))
    found[order] = best
    return found


def _means(reached: _Floats, values: _Floats) -> tuple[_Floats, _Floats]:
    """Return all levels at which anything changes, from the lowest, and the mean value at each.

    reached: `[E, N]`, up to which level a sample has left at this exit or before. values: of each
    sample at each exit, `[E, N]`.
    """
    candidates = np.unique(reached)
    # At the lowest level each sample is at exit 0; above `reached` it moves on to the next one.
    steps = np.zeros(len(candidates) + 1)
    steps[0] = values[0].sum()
    for before, value, after in zip(reached[:-1], values[:-1], values[1:], strict=True):
        at = np.searchsorted(candidates, before, side="right")
        np.add.at(steps, at, after - value)
    return candidates, np.cumsum(steps[:-1]) / values.shape[1]


def check_scores(
    scores: object, targets: object
) -> tuple[list[NDArray[np.integer[Any]]], NDArray[np.integer[Any]]]:
    """Return the scores of exits and the classes. Raises UsageError unless they are integers
    `[N, C]` of two exits or more, and a class for each sample."""
    check_kind("scores", scores, list | tuple, "a list of arrays, one for each exit")
    assert isinstance(scores, list | tuple)
    if len(scores) < 2:
        raise UsageError(f"scores: {len(scores)} exits given, at least 2 allowed")
    shape = getattr(scores[0], "shape", None)
    for number, one in enumerate(scores):
        check_kind(f"scores[{number}]", one, np.ndarray, "an array of integers [N, C]")
        is_right = one.dtype.kind in "iu" and one.ndim == 2 and one.shape == shape
        if not is_right or one.shape[0] < 1 or one.shape[1] < 2:
            given = f"{one.dtype}{list(one.shape)}"
            raise UsageError(
                f"scores[{number}]: {given} given, integers [N, C] allowed, of one shape for all "
                "exits, of at least 1 sample and 2 classes"
            )
    check_kind("targets", targets, np.ndarray, "an array of classes [N]")
    assert isinstance(targets, np.ndarray)
    count, classes = scores[0].shape
    if targets.shape != (count,) or targets.dtype.kind not in "iu":
        raise UsageError(
            f"targets: {targets.dtype}{list(targets.shape)} given, integers [{count}] allowed"
        )
    for end in (targets.min(), targets.max()):
        if not 0 <= end < classes:
            raise UsageError(f"targets: {end} given, classes 0 to {classes - 1} allowed")
    return list(scores), targets


def check_costs(costs: object, num_exits: int) -> _Floats:
    """Return the cost of a sample at each exit. Raises UsageError unless no exit is cheaper than
    one before it."""
    check_kind("costs", costs, list | tuple, "a list of numbers, one for each exit")
    assert isinstance(costs, list | tuple)
    for number, one in enumerate(costs):
        check_number(f"costs[{number}]", one)
    if len(costs) != num_exits or list(costs) != sorted(costs):
        raise UsageError(
            f"costs: {list(costs)} given, {num_exits} rising numbers allowed, one for each exit"
        )
    return np.array(costs, np.float64)


def check_number(name: str, given: object) -> None:
    """Raise UsageError unless an argument is a finite number from 0."""
    is_number = isinstance(given, int | float | np.integer | np.floating)
    if not is_number or isinstance(given, bool):
        raise UsageError(f"{name}: a {type(given).__name__} given, a number allowed")
    assert isinstance(given, int | float | np.integer | np.floating)
    if not np.isfinite(given) or given < 0:
        raise UsageError(f"{name}: {given} given, a finite number from 0 allowed")
