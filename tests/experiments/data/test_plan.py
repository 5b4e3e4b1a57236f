"""How samples are shared out: every sample once, the weights of a step add up to one."""

import math
from dataclasses import replace
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from experiments.data.plan import Plan, Slice

sizes = st.integers(1, 12)


def ranks(num_samples: int, batch: int, accumulate: int, num_ranks: int) -> list[Plan]:
    return [
        Plan(
            num_samples=num_samples,
            batch_size=batch,
            batches_per_step=accumulate,
            num_ranks=num_ranks,
            rank=rank,
        )
        for rank in range(num_ranks)
    ]


def by_step(plan: Plan, first_step: int = 0) -> dict[int, list[Slice]]:
    return {s: list(g) for s, g in groupby(plan.slices(first_step), key=lambda piece: piece.step)}


@given(st.integers(1, 200), sizes, st.integers(1, 4), st.integers(1, 5))
def test_shares(num_samples: int, batch: int, accumulate: int, num_ranks: int) -> None:
    plans = ranks(num_samples, batch, accumulate, num_ranks)
    steps = [by_step(plan) for plan in plans]
    covered: list[int] = []
    for step in range(plans[0].num_steps):
        pieces = [piece for rank in steps for piece in rank[step]]
        assert math.isclose(math.fsum(piece.weight for piece in pieces), 1.0)
        covered += [i for piece in pieces for i in range(piece.start, piece.stop)]
        counts = [sum(p.stop - p.start for p in rank[step]) for rank in steps]
        assert max(counts) - min(counts) <= 1
        for rank in steps:
            assert [piece.is_last for piece in rank[step]] == [False] * (len(rank[step]) - 1) + [
                True
            ]
            assert all(piece.stop - piece.start <= batch for piece in rank[step])
            assert len(rank[step]) <= accumulate
        total = sum(counts)
        for piece in pieces:
            assert math.isclose(piece.weight, (piece.stop - piece.start) / total)
    assert covered == list(range(num_samples))
    assert all(len(rank) == plans[0].num_steps for rank in steps)


@given(st.integers(1, 200), sizes, st.integers(1, 3), st.integers(1, 4))
def test_steps_depend_on_the_product_alone(
    num_samples: int, batch: int, accumulate: int, num_ranks: int
) -> None:
    alone = ranks(num_samples, batch * accumulate * num_ranks, 1, 1)
    shared = ranks(num_samples, batch, accumulate, num_ranks)

    def samples(plans: list[Plan]) -> list[list[int]]:
        steps = [by_step(plan) for plan in plans]
        return [
            [i for rank in steps for piece in rank[step] for i in range(piece.start, piece.stop)]
            for step in range(plans[0].num_steps)
        ]

    assert samples(alone) == samples(shared)


@given(st.integers(1, 100), sizes, st.integers(1, 3), st.integers(1, 4), st.integers(0, 20))
def test_going_on_from_a_step(
    num_samples: int, batch: int, accumulate: int, num_ranks: int, first: int
) -> None:
    for plan in ranks(num_samples, batch, accumulate, num_ranks):
        rest = [piece for piece in plan.slices() if piece.step >= first]
        assert list(plan.slices(first)) == rest


def test_a_rank_without_samples_takes_part() -> None:
    steps = [by_step(plan) for plan in ranks(9, 2, 1, 4)]
    last = [rank[1] for rank in steps]
    assert [[piece.weight for piece in pieces] for pieces in last] == [[0.0], [0.0], [0.0], [1.0]]
    assert all(pieces[-1].is_last for pieces in last)


@given(st.integers(1, 200), sizes, st.integers(1, 3), st.integers(1, 4))
def test_a_partial_step_is_dropped(
    num_samples: int, batch: int, accumulate: int, num_ranks: int
) -> None:
    plans = ranks(num_samples, batch, accumulate, num_ranks)
    for plan in plans:
        dropping = replace(plan, drops_partial=True)
        full = num_samples // plan.samples_per_step
        kept = [piece for piece in plan.slices() if piece.step < full]
        assert list(dropping.slices()) == kept
        assert dropping.num_steps == full
        assert dropping.smallest_batch == (batch if full else 0)


@given(st.integers(1, 200), sizes, st.integers(1, 3), st.integers(1, 4))
def test_the_smallest_batch(num_samples: int, batch: int, accumulate: int, num_ranks: int) -> None:
    plans = ranks(num_samples, batch, accumulate, num_ranks)
    counts = [piece.stop - piece.start for plan in plans for piece in plan.slices()]
    assert {plan.smallest_batch for plan in plans} == {min(count for count in counts if count)}
