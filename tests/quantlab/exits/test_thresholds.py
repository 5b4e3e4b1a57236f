"""Thresholds from validation data: beside every level tried one by one, and never out of order."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.exits.interpreter import leave, margins
from quantlab.exits.program import NEVER
from quantlab.exits.thresholds import choose_thresholds

COSTS = [1, 4, 9]


def example(seed: int, count: int = 40) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Scores of three exits, each of which is right more often than the one before."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 4, count)
    scores = []
    for strength in (2, 4, 7):
        one = rng.integers(-5, 6, (count, 4))
        one[np.arange(count), targets] += strength
        scores.append(one.astype(np.int32))
    return scores, targets


def accuracy(
    scores: list[NDArray[np.int32]], targets: NDArray[np.int64], thresholds: tuple[int, ...]
) -> float:
    right = leave(scores, thresholds).scores.argmax(1) == targets
    return 100 * int(right.sum()) / len(targets)


def cost(scores: list[NDArray[np.int32]], thresholds: tuple[int, ...]) -> float:
    return float(np.array(COSTS)[leave(scores, thresholds).exits].mean())


def all_levels(
    scores: list[NDArray[np.int32]], targets: NDArray[np.int64]
) -> list[tuple[int, ...]]:
    """Return the thresholds of each level, from the lowest, each found by trying all thresholds."""
    tables = []
    for one in scores[:-1]:
        gaps, right = margins(one), one.argmax(1) == targets
        tables.append({int(t): right[gaps >= t].mean() for t in sorted(set(gaps))})
    levels = sorted({share for table in tables for share in table.values()} | {0.0})
    found = [
        tuple(
            min((t for t, share in table.items() if share >= p), default=NEVER) for table in tables
        )
        for p in levels
    ]
    return [*found, (NEVER, NEVER)]


@given(seed=st.integers(0, 10**6), floor=st.integers(0, 40))
def test_the_lowest_level_whose_accuracy_is_enough_is_chosen(seed: int, floor: int) -> None:
    scores, targets = example(seed)
    wanted = 100 * floor / 40
    enough = [t for t in all_levels(scores, targets) if accuracy(scores, targets, t) >= wanted]
    if not enough:
        with pytest.raises(UsageError, match=r"^floor: .* given, at most "):
            choose_thresholds(scores, targets, floor=wanted)
        return
    chosen = choose_thresholds(scores, targets, floor=wanted)
    np.testing.assert_array_equal(leave(scores, chosen).exits, leave(scores, enough[0]).exits)
    assert accuracy(scores, targets, chosen) >= wanted


@given(seed=st.integers(0, 10**6), wanted=st.floats(1, 9))
def test_the_highest_level_whose_cost_is_allowed_is_chosen(seed: int, wanted: float) -> None:
    scores, targets = example(seed)
    allowed = [t for t in all_levels(scores, targets) if cost(scores, t) <= wanted]
    chosen = choose_thresholds(scores, targets, cost=wanted, costs=COSTS)
    np.testing.assert_array_equal(leave(scores, chosen).exits, leave(scores, allowed[-1]).exits)


@given(seed=st.integers(0, 10**6))
def test_a_higher_floor_never_lowers_a_threshold_nor_the_cost(seed: int) -> None:
    scores, targets = example(seed)
    best = max(accuracy(scores, targets, t) for t in all_levels(scores, targets))
    chosen = [choose_thresholds(scores, targets, floor=floor) for floor in np.linspace(0, best, 7)]
    for lower, higher in pairwise(chosen):
        assert all(a <= b for a, b in zip(lower, higher, strict=True))
        assert cost(scores, lower) <= cost(scores, higher)


def test_all_leave_at_once_where_the_floor_is_nothing() -> None:
    scores, targets = example(0)
    chosen = choose_thresholds(scores, targets, floor=0.0)
    assert set(leave(scores, chosen).exits) == {0}


SCORES, TARGETS = example(0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "floor, cost: None and None given"),
        ({"floor": 90.0, "cost": 3.0}, "floor, cost: 90.0 and 3.0 given"),
        ({"floor": 101.0}, r"floor: 101.0 % given, at most \d+.\d\d % can be had"),
        ({"floor": float("nan")}, "floor: nan given"),
        ({"floor": "x"}, "floor: a str given"),
        ({"cost": 0.5, "costs": COSTS}, "cost: 0.5 given, at least 1 can be had"),
        ({"cost": 3.0}, "costs: a NoneType given"),
        ({"cost": 3.0, "costs": [1, 2]}, r"costs: \[1, 2\] given, 3 rising numbers allowed"),
        ({"cost": 3.0, "costs": [3, 2, 1]}, r"costs: \[3, 2, 1\] given"),
        ({"floor": 1.0, "scores": SCORES[:1]}, "scores: 1 exits given, at least 2"),
        ({"floor": 1.0, "scores": 3}, "scores: a int given"),
        ({"floor": 1.0, "scores": [SCORES[0], SCORES[1][:3]]}, r"scores\[1\]: int32\[3, 4\] given"),
        ({"floor": 1.0, "targets": TARGETS[:3]}, r"targets: int64\[3\] given, integers \[40\]"),
        ({"floor": 1.0, "targets": TARGETS + 4}, "targets: [4-7] given, classes 0 to 3"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        choose_thresholds(**{"scores": SCORES, "targets": TARGETS, **changes})
    assert "\n" not in str(caught.value)
