"""Random numbers as pure functions: of nothing else, and uniform."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.data.draws import derive_seed, permutation, uniform

MASK = 2**64 - 1


def splitmix64(seed: int, epoch: int, index: int, column: int, count: int) -> float:
    """The documented function in Python's own integers."""
    z = ((index * count + column) * 0x9E3779B97F4A7C15 + derive_seed(seed, "draws", epoch)) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return (z >> 40) * 2.0**-24


@given(
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 10_000),
    indices=st.lists(st.integers(0, 10**9), min_size=1, max_size=5),
    count=st.integers(1, 7),
)
def test_equals_the_formula(seed: int, epoch: int, indices: list[int], count: int) -> None:
    found = uniform(seed, epoch, torch.tensor(indices), count)
    assert found.dtype == torch.float32
    expected = [[splitmix64(seed, epoch, i, k, count) for k in range(count)] for i in indices]
    assert found.tolist() == expected


@given(cuts=st.lists(st.integers(0, 50), max_size=6), order_seed=st.integers(0, 9))
def test_the_same_for_any_partition_into_batches(cuts: list[int], order_seed: int) -> None:
    order = torch.randperm(50, generator=torch.Generator().manual_seed(order_seed))
    whole = uniform(3, 4, torch.arange(50), 3)
    edges = [0, *sorted(cuts), 50]
    for start, stop in pairwise(edges):
        part = order[start:stop]
        assert torch.equal(uniform(3, 4, part, 3), whole[part])


def test_uniform_and_uncorrelated() -> None:
    draws = uniform(0, 0, torch.arange(20_000), 4).double()
    assert float(draws.min()) >= 0.0
    assert float(draws.max()) < 1.0
    counts = np.histogram(draws.numpy(), bins=64, range=(0, 1))[0]
    expected = draws.numel() / 64
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert 25 < chi_square < 120, "63 degrees of freedom; these are 6 deviations"
    next_epoch = uniform(0, 1, torch.arange(20_000), 4).double()
    rows = torch.cat([draws, next_epoch, draws[:, :1].roll(1, 0)], dim=1).T
    off_diagonal = torch.corrcoef(rows) - torch.eye(len(rows), dtype=torch.float64)
    assert float(off_diagonal.abs().max()) < 0.04


def test_every_argument_matters() -> None:
    base = uniform(1, 2, torch.arange(8), 2)
    assert not torch.equal(base, uniform(2, 2, torch.arange(8), 2))
    assert not torch.equal(base, uniform(1, 3, torch.arange(8), 2))
    assert len(torch.unique(base)) == 16
    assert uniform(1, 2, torch.arange(8), 0).shape == (8, 0)


@pytest.mark.parametrize("length", [0, 1, 2, 1000])
def test_permutation(length: int) -> None:
    order = permutation(5, 6, length)
    assert sorted(order.tolist()) == list(range(length))
    assert torch.equal(order, permutation(5, 6, length))
    if length == 1000:
        assert not torch.equal(order, permutation(5, 7, length))
        assert not torch.equal(order, permutation(6, 6, length))


def test_permutation_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    permutation(0, 0, 100)
    assert torch.equal(torch.rand(1), expected)


def test_seeds_tell_their_labels_apart() -> None:
    labels: list[tuple[int | str, ...]] = [
        (), (1,), ("1",), (1, 2), (12,), ("fold", 0), ("fold", 1), ("fold0",), ("fold", "0"),
    ]  # fmt: skip
    seeds = [derive_seed(*label) for label in labels]
    assert len(set(seeds)) == len(labels)
    assert all(0 <= seed < 2**63 for seed in seeds)
