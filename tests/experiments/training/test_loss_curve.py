"""The loss of every n-th step against sums written out. All losses are multiples of 1/8: exact."""

import pytest
import torch

from experiments.processes.communicator import Communicator, Single
from experiments.training.loss_curve import LossCurve
from tests.rank_threads import on_ranks

CPU = torch.device("cpu")
NUM_STEPS = 9
Shares = list[list[float]]  # of each step, the weighted losses of a rank's batches


def make_shares(rank: int) -> Shares:
    """No batch in some steps, up to three in others."""
    return [
        [(8 * step + 3 * batch + rank) / 8 for batch in range((step + rank) % 4)]
        for step in range(1, NUM_STEPS + 1)
    ]


def record(curve: LossCurve, shares: Shares, first_step: int = 1) -> None:
    for step, batches in enumerate(shares, start=first_step):
        curve.start_step()
        for share in batches:
            curve.add(torch.tensor(share))
        curve.end_step(step)


@pytest.mark.parametrize("every_steps", [1, 2, 4, NUM_STEPS, NUM_STEPS + 1])
def test_every_nth_step_has_the_sum_of_its_batches(every_steps: int) -> None:
    curve = LossCurve(every_steps, CPU)
    shares = make_shares(0)
    record(curve, shares)
    expected = [
        (step, sum(shares[step - 1])) for step in range(every_steps, NUM_STEPS + 1, every_steps)
    ]
    assert list(curve.take(Single())) == expected


def test_the_period_counts_the_steps_of_the_run() -> None:
    curve = LossCurve(4, CPU)
    record(curve, [[1.0], [2.0], [3.0]], first_step=7)
    assert list(curve.take(Single())) == [(8, 2.0)]


def test_points_are_taken_once() -> None:
    curve = LossCurve(1, CPU)
    assert list(curve.take(Single())) == []
    record(curve, [[1.0], [2.0]])
    assert list(curve.take(Single())) == [(1, 1.0), (2, 2.0)]
    assert list(curve.take(Single())) == []
    record(curve, [[3.0]], first_step=3)
    assert list(curve.take(Single())) == [(3, 3.0)]


@pytest.mark.parametrize("every_steps", [1, 3, NUM_STEPS + 1])
def test_on_all_ranks_a_step_is_the_sum_of_their_shares(every_steps: int) -> None:
    num_ranks = 3

    def points(communicator: Communicator) -> list[tuple[int, float]]:
        curve = LossCurve(every_steps, CPU)
        record(curve, make_shares(communicator.rank))
        return list(curve.take(communicator))

    parts = [make_shares(rank) for rank in range(num_ranks)]
    expected = [
        (step, sum(sum(part[step - 1]) for part in parts))
        for step in range(every_steps, NUM_STEPS + 1, every_steps)
    ]
    assert on_ranks(num_ranks, points) == [expected] * num_ranks


def test_doubles_stay_doubles_beside_steps_without_samples() -> None:
    def points(communicator: Communicator) -> list[tuple[int, float]]:
        curve = LossCurve(1, CPU)
        for step in (1, 2):
            curve.start_step()
            if communicator.rank == step % 2:
                curve.add(torch.tensor(0.1, dtype=torch.float64))
            curve.end_step(step)
        return list(curve.take(communicator))

    assert on_ranks(2, points) == [[(1, 0.1), (2, 0.1)]] * 2
