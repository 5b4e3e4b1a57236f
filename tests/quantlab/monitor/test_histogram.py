"""Histograms against NumPy's; merging is exact."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.monitor.histogram import (
    MIN_EXPONENT,
    NUM_BINS,
    BinCounts,
    Histogram,
    bin_width,
    to_histogram,
)

TINY = 2.0**-100
SIZES = st.floats(TINY, 2.0**20, width=32)
FLOATS = SIZES | SIZES.map(lambda size: -size) | st.just(0.0)


def counted(*tensors: Tensor) -> BinCounts:
    bins = BinCounts()
    for x in tensors:
        bins.add(x, float(x.abs().max()) if x.numel() else 0.0)
    return bins


@given(st.lists(FLOATS, min_size=1))
def test_counts_are_numpys(numbers: list[float]) -> None:
    x = torch.tensor(numbers)
    bins = counted(x)
    assert x.abs().max() < 2.0**bins.exponent
    assert bins.exponent == MIN_EXPONENT or x.abs().max() >= 2.0 ** (bins.exponent - 1)
    edges = bin_width(bins.exponent) * np.arange(-NUM_BINS // 2, NUM_BINS // 2 + 1)
    # The last bin of NumPy's has both its edges; no number is on the last.
    expected, _ = np.histogram(x.double().numpy(), edges)
    np.testing.assert_array_equal(bins.counts.numpy(), expected)


@given(st.lists(st.lists(FLOATS), max_size=5))
def test_the_order_of_batches_does_not_matter(batches: list[list[float]]) -> None:
    tensors = [torch.tensor(batch) for batch in batches]
    whole = counted(torch.cat([torch.empty(0), *tensors]))
    one, other = counted(*tensors), counted(*tensors[::-1])
    assert whole.exponent == one.exponent == other.exponent
    assert torch.equal(whole.counts, one.counts)
    assert torch.equal(whole.counts, other.counts)


@given(st.lists(FLOATS, min_size=1), st.integers(0, 300))
def test_coarser_counts_are_those_of_wider_bins(numbers: list[float], more: int) -> None:
    x = torch.tensor(numbers)
    bins = counted(x)
    wide = counted(x, torch.tensor([math.ldexp(0.75, min(bins.exponent + more, 127))]))
    assert wide.exponent == max(min(bins.exponent + more, 127), bins.exponent)
    coarse = bins.coarsened(wide.exponent)
    coarse[int(0.75 * NUM_BINS / 2) + NUM_BINS // 2] += 1
    assert torch.equal(coarse, wide.counts)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types(dtype: torch.dtype) -> None:
    x = torch.linspace(-3, 5, 100).to(dtype)
    expected, _ = np.histogram(x.double().numpy(), np.arange(-64, 65) / 8)
    np.testing.assert_array_equal(counted(x).counts.numpy(), expected)
    tiny = torch.tensor([torch.finfo(dtype).smallest_normal], dtype=dtype)
    assert counted(tiny, -tiny).counts.sum() == 2
    huge = torch.tensor([torch.finfo(dtype).max], dtype=dtype)
    assert counted(huge, -huge).counts.sum() == 2


def test_only_finite_numbers_are_counted() -> None:
    x = torch.tensor([1.0, math.nan, math.inf, -2.0, -math.inf])
    bins = BinCounts()
    bins.add(x, math.nan)
    assert bins.counts.sum() == 2
    assert bins.exponent == 2
    bins.add(torch.full((3,), math.nan), math.nan)
    assert bins.counts.sum() == 2


def test_empty_bins_at_the_ends_are_left_out() -> None:
    bins = counted(torch.tensor([0.5, 1.5, 1.5, -0.25]))
    found = to_histogram(bins.counts.tolist(), bins.exponent)
    width = 2 / 64
    assert found.edges[0] == -0.25
    assert found.edges[-1] == 1.5 + width
    assert np.allclose(np.diff(found.edges), width)
    assert (found.counts[0], sum(found.counts), found.counts[-1]) == (1, 4, 2)


def test_nothing_is_one_empty_bin_at_zero() -> None:
    found = to_histogram([0.0] * NUM_BINS, 1)
    assert found == Histogram(edges=(0.0, 2 / 64), counts=(0,))


def test_edges_enclose_counts() -> None:
    with pytest.raises(UsageError, match="edges: 2 given for 2 counts, one more allowed"):
        Histogram(edges=(0.0, 1.0), counts=(1, 2))
