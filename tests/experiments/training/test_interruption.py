"""Signals that are kept until the step has ended."""

import signal
from collections.abc import Iterator

import pytest
import torch

from experiments.processes.communicator import Op, Single
from experiments.training.interruption import Interruption


class Ranks(Single):
    """Rank 0 of two. The other is asked to stop when it has met this one `meetings` times; each
    time it says that `seconds` have passed."""

    size = 2

    def __init__(self, seconds: float, meetings: int) -> None:
        self.seconds = seconds
        self.meetings = meetings

    def all_reduce(self, tensor: torch.Tensor, op: Op = "sum") -> torch.Tensor:
        assert op == "max"
        self.meetings -= 1
        return torch.tensor([float(self.meetings < 0), self.seconds], dtype=tensor.dtype)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_once(number: signal.Signals) -> None:
    with Interruption(Single()) as interruption:
        assert not interruption.is_due()
        signal.raise_signal(number)
        assert interruption.is_due()
        assert interruption.is_due()


def test_a_second_interrupt_ends_at_once() -> None:
    with Interruption(Single()):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_terminated_twice_is_terminated_once() -> None:
    with Interruption(Single()) as interruption:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert interruption.is_due()


def due_at(interruption: Interruption) -> int:
    return next(call for call in range(1, 1000) if interruption.is_due())


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [
        (0.001, [1, 51, 101]),  # at the first call, then every 50: the most
        (0.5, [1, 3, 7]),  # twice as far apart each time while half a second passes
        (1.0, [1, 2, 3]),
        (7.0, [1, 2, 3]),
    ],
)
def test_ranks_meet_about_every_second(seconds: float, calls: list[int]) -> None:
    for meetings, call in enumerate(calls):
        with Interruption(Ranks(seconds, meetings)) as interruption:
            assert due_at(interruption) == call


def test_a_new_pace_is_met_at_once() -> None:
    with Interruption(Ranks(0.001, 2)) as interruption:
        assert not interruption.is_due()
        assert not interruption.is_due()
        interruption.expect_new_pace()
        assert not interruption.is_due()
        interruption.expect_new_pace()
        assert interruption.is_due()
