"""Signals that are kept until the step has ended."""

import signal
from collections.abc import Iterator

import pytest
import torch

from experiments.communicator import Op, Single
from experiments.training.interruption import Interruption


class TwoRanks(Single):
    """Stands at rank 0 of two; the other rank was asked to stop."""

    size = 2

    def all_reduce(self, tensor: torch.Tensor, op: Op = "sum") -> torch.Tensor:
        assert op == "max"
        return torch.maximum(tensor, torch.tensor(1))


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_once(number: signal.Signals) -> None:
    with Interruption(Single()) as interruption:
        assert not interruption.is_due(1)
        signal.raise_signal(number)
        assert interruption.is_due(2)
        assert interruption.is_due(3)


def test_a_second_interrupt_ends_at_once() -> None:
    with Interruption(Single()):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_terminated_twice_is_terminated_once() -> None:
    with Interruption(Single()) as interruption:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert interruption.is_due(1)


def test_ranks_agree_now_and_then() -> None:
    with Interruption(TwoRanks()) as interruption:
        due = [step for step in range(1, 151) if interruption.is_due(step)]
    assert due == [50, 100, 150]
