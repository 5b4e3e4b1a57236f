"""The best epoch, and how long ago it was."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.training.early_stopping import BestEpoch

values = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@given(values=values, direction=st.sampled_from(["min", "max"]))
def test_the_first_of_the_best(values: list[float], direction: Literal["min", "max"]) -> None:
    best = BestEpoch(direction)
    answers = [best.update(value, epoch) for epoch, value in enumerate(values)]
    extreme = max(values) if direction == "max" else min(values)
    assert best.value == extreme
    assert best.epoch == values.index(extreme)
    assert answers[best.epoch]
    assert not any(answers[best.epoch + 1 :])
    assert best.num_stale == len(values) - 1 - best.epoch


@given(values=values, cut=st.integers(0, 30), min_delta=st.floats(0, 10))
def test_a_resumed_one_goes_on_alike(values: list[float], cut: int, min_delta: float) -> None:
    whole = BestEpoch("max", min_delta)
    for epoch, value in enumerate(values):
        if epoch == cut:
            resumed = BestEpoch("max", min_delta)
            resumed.load_state_dict(whole.state_dict())
            whole = resumed
        whole.update(value, epoch, epoch // 10)
    straight = BestEpoch("max", min_delta)
    for epoch, value in enumerate(values):
        straight.update(value, epoch, epoch // 10)
    assert whole.state_dict() == straight.state_dict()


@given(values=values, more=values)
def test_more_tensors_quantized_are_better_than_any_value(
    values: list[float], more: list[float]
) -> None:
    best = BestEpoch("max")
    for epoch, value in enumerate(values):
        best.update(value, epoch, 1)
    assert best.update(more[0], len(values), 2)
    assert (best.value, best.num_stale) == (more[0], 0)
    for epoch, value in enumerate(more[1:], start=len(values) + 1):
        best.update(value, epoch, 2)
    assert best.value == max(more)
    assert best.epoch == len(values) + more.index(max(more))


def test_small_gains_are_no_progress_but_still_the_best() -> None:
    best = BestEpoch("max", min_delta=1.0)
    assert best.update(10.0, 0)
    assert best.update(10.5, 1)
    assert best.num_stale == 1
    assert best.update(10.9, 2)
    assert (best.num_stale, best.value) == (2, 10.9)
    assert best.update(11.1, 3)
    assert best.num_stale == 0


@pytest.mark.parametrize("direction", ["min", "max"])
def test_what_is_no_number_is_never_the_best_twice(direction: Literal["min", "max"]) -> None:
    best = BestEpoch(direction)
    best.update(1.0, 0)
    assert not best.update(math.nan, 1)
    assert (best.value, best.num_stale) == (1.0, 1)
