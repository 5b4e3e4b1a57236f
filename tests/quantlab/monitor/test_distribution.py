"""Moments and shares against NumPy in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from quantlab.monitor.distribution import NUM_PEAKS, NUM_SUMS, Distribution
from quantlab.monitor.histogram import Histogram
from tests.quantlab.monitor.small import array

TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def gathered(*tensors: Tensor) -> Distribution:
    distribution = Distribution()
    for x in tensors:
        distribution.add(x)
    return distribution


def values(distribution: Distribution) -> dict[str, float | Histogram]:
    peaks = distribution.peaks()
    return dict(distribution.values(peaks, distribution.sums(peaks)))


def check(found: dict[str, float | Histogram], x: Tensor) -> None:
    numbers = array(x)
    expected = {
        "mean": numbers.mean(),
        "std": numbers.std(),
        "min": numbers.min(),
        "max": numbers.max(),
        "zeros": (numbers == 0).mean(),
    }
    histogram = found.pop("")
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert isinstance(histogram, Histogram)
    # The last bin of NumPy's has both its edges.
    edges = [*histogram.edges[:-1], np.nextafter(histogram.edges[-1], -math.inf)]
    np.testing.assert_array_equal(histogram.counts, np.histogram(numbers, edges)[0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_values_are_numpys(dtype: torch.dtype, shift: float) -> None:
    x = (torch.randn(7, 5, 11, generator=torch.Generator().manual_seed(1)) + shift).to(dtype)
    x[2] = 0.0
    check(values(gathered(x)), x)


def test_strides_do_not_matter() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    check(values(gathered(x, x[:, :, ::2].transpose(1, 2))), torch.cat([
        x.flatten(), x[:, :, ::2].flatten()]))  # fmt: skip


def test_batches_are_one() -> None:
    pieces = [torch.randn(5) * scale for scale in (0.01, 300.0, 1.0)]
    check(values(gathered(*pieces, torch.empty(0))), torch.cat(pieces))


def test_ranks_are_one() -> None:
    pieces = [torch.randn(50) * scale for scale in (0.01, 300.0)]
    ranks = [gathered(pieces[0]), gathered(pieces[1]), gathered()]
    peaks = torch.stack([rank.peaks() for rank in ranks]).amax(0)
    sums = torch.stack([rank.sums(peaks) for rank in ranks]).sum(0)
    assert (peaks.shape, sums.shape) == ((NUM_PEAKS,), (NUM_SUMS,))
    check(dict(ranks[2].values(peaks, sums)), torch.cat(pieces))


def test_nothing_seen_has_no_values() -> None:
    assert values(gathered()) == {}
    assert values(gathered(torch.empty(3, 0))) == {}


def test_equal_numbers_have_no_deviation() -> None:
    found = values(gathered(torch.full((1000,), 0.1)))
    assert found["std"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_shows(bad: float) -> None:
    found = values(gathered(torch.tensor([1.0, bad, 2.0])))
    mean = found["mean"]
    assert isinstance(mean, float)
    assert not math.isfinite(mean)
    histogram = found[""]
    assert isinstance(histogram, Histogram)
    assert sum(histogram.counts) == 2


def test_nothing_is_remembered_of_the_graph() -> None:
    x = torch.randn(3, requires_grad=True)
    y = x * 2
    gathered(y)
    y.sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 2.0))
