"""Training time over processes and breaks."""

import time

import pytest

from experiments.training.clock import Clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `perf_counter` gives."""
    time_now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: time_now[0])
    return time_now


def test_epochs_add_up(now: list[float]) -> None:
    clock = Clock()
    now[0] += 3
    assert (clock.done, clock.epoch) == (0.0, 3.0)
    assert clock.end_epoch() == 3.0
    now[0] += 2
    assert (clock.done, clock.epoch) == (3.0, 2.0)
    assert clock.end_epoch() == 2.0
    assert clock.done == 5.0


def test_a_break_does_not_count(now: list[float]) -> None:
    clock = Clock()
    now[0] += 3
    clock.end_epoch()
    now[0] += 2
    state = clock.state_dict()
    now[0] += 1000
    resumed = Clock()
    resumed.load_state_dict(state)
    now[0] += 1
    assert resumed.end_epoch() == 3.0
    assert resumed.done == 6.0
