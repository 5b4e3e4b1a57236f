"""Bytes among layers, beside the best of all choices."""

import itertools

import numpy as np
import pytest

from quantlab.compression.allocation import Options, allocate


def options(generator: np.random.Generator, count: int) -> Options:
    """Return options whose loss falls while bytes rise, as it may."""
    nbytes = np.sort(generator.integers(1, 100, count)).astype(float)
    loss = np.sort(generator.random(count) * 10)[::-1].copy()
    return Options(
        counts=np.arange(count), bits=generator.choice([4, 8], count), loss=loss, nbytes=nbytes
    )


@pytest.mark.parametrize("seed", range(20))
def test_choices_fit_and_are_nearly_the_best(seed: int) -> None:
    generator = np.random.default_rng(seed)
    layers = {name: options(generator, 6) for name in "abc"}
    smallest = sum(own.nbytes.min() for own in layers.values())
    budget = float(smallest + generator.integers(0, 150))
    chosen = allocate(layers, budget)
    total = sum(one.nbytes for one in chosen.values())
    loss = sum(one.loss for one in chosen.values())
    best = min(
        sum(own.loss[i] for own, i in zip(layers.values(), picked, strict=True))
        for picked in itertools.product(range(6), repeat=3)
        if sum(own.nbytes[i] for own, i in zip(layers.values(), picked, strict=True)) <= budget
    )
    assert total <= budget
    worst = max(own.loss.max() - own.loss.min() for own in layers.values())
    assert best <= loss + 1e-12 <= best + worst  # at most one layer's choice from the best


def test_all_is_kept_where_it_fits() -> None:
    layers = {name: options(np.random.default_rng(1), 5) for name in "ab"}
    chosen = allocate(layers, 1e6)
    assert [one.loss for one in chosen.values()] == [own.loss.min() for own in layers.values()]


def test_the_smallest_is_taken_where_nothing_fits() -> None:
    layers = {name: options(np.random.default_rng(2), 5) for name in "ab"}
    chosen = allocate(layers, -5.0)
    sizes = [one.nbytes for one in chosen.values()]
    assert sizes == [own.nbytes.min() for own in layers.values()]
