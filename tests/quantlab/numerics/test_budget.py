"""One option for each part, beside the best of all choices."""

import itertools

import numpy as np
import pytest

from quantlab.numerics.budget import Costs, cheapest


@pytest.mark.parametrize("seed", range(10))
def test_choices_fit_and_are_nearly_the_best(seed: int) -> None:
    generator = np.random.default_rng(seed)
    parts = {
        name: Costs(loss=generator.random(6), nbytes=generator.integers(1, 100, 6).astype(float))
        for name in "abc"
    }
    least = sum(float(own.nbytes.min()) for own in parts.values())
    budget = least + float(generator.integers(0, 150))

    def total(picked: tuple[int, ...], what: str) -> float:
        return sum(
            float(getattr(own, what)[index])
            for own, index in zip(parts.values(), picked, strict=True)
        )

    chosen = tuple(cheapest(parts, budget).values())
    every = itertools.product(range(6), repeat=3)
    best = min(total(one, "loss") for one in every if total(one, "nbytes") <= budget)
    assert total(chosen, "nbytes") <= budget
    worst = max(float(np.ptp(own.loss)) for own in parts.values())
    assert best <= total(chosen, "loss") + 1e-12 <= best + worst


def test_the_least_bytes_are_taken_where_nothing_fits() -> None:
    parts = {"a": Costs(loss=np.array([1.0, 0.5]), nbytes=np.array([3.0, 5.0]))}
    assert cheapest(parts, 1.0) == {"a": 0}
