"""The observers mse and kl, against counts and errors by brute force in NumPy."""

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from quantlab.algorithms.observers import make_observer
from quantlab.algorithms.observers.histogram import (
    NUM_BINS,
    NUM_CANDIDATES,
    Histogram,
    bin_centers,
    bin_of,
    merge_bins,
)
from quantlab.controller import Alone
from quantlab.quantizer import QuantSpec
from tests.rank_threads import on_ranks

Kind = Literal["mse", "kl"]
KINDS: tuple[Kind, ...] = ("mse", "kl")
Array = NDArray[np.float64]
HALF = NUM_BINS // 2


def histogram(kind: Kind, *batches: Tensor) -> Histogram:
    observer = make_observer(kind, 0)
    assert isinstance(observer, Histogram)
    for batch in batches:
        observer(batch)
    return observer


def chosen(observer: Histogram, spec: QuantSpec) -> tuple[float, float]:
    low, high = observer.range_for(spec, observer.minimum, observer.maximum, Alone())
    return low.item(), high.item()


def counted(numbers: Array, exponent: int) -> Array:
    """Counts of bins of equal width over [-2^e, 2^e), with exact arithmetic."""
    edges = np.arange(-HALF, HALF + 1) * 2.0 ** (exponent - 11)
    return np.histogram(numbers, edges)[0].astype(np.float64)


def exponent_of(numbers: Array) -> int:
    """The least power of two beyond all numbers."""
    return math.frexp(float(np.abs(numbers).max()))[1]


def on_grid(v: Array, low: float, high: float, spec: QuantSpec) -> Array:
    least, most = spec.quant_min, spec.quant_max
    if spec.symmetric:
        scale = np.float32(max(high / most, low / least if least < 0 else 0.0))
        zero_point = 0.0
    else:
        scale = np.float32((high - low) / (most - least))
        zero_point = np.clip(least + np.floor(-low / scale + 0.5), least, most)
    scale = np.float64(scale)
    codes = np.clip(np.floor(v / scale + 0.5) + zero_point, least, most)
    return np.asarray((codes - zero_point) * scale)


def squared_error(counts: Array, centers: Array, low: float, high: float, spec: QuantSpec) -> float:
    return float((counts * (centers - on_grid(centers, low, high, spec)) ** 2).sum())


def divergence(counts: Array, centers: Array, low: float, high: float, spec: QuantSpec) -> float:
    """Bin by bin, with loops."""
    width = centers[1] - centers[0]
    counts = counts.copy()
    counts[HALF] = counts[HALF + 1]
    inside = [
        i
        for i, center in enumerate(centers)
        if center + width / 2 >= low and center - width / 2 <= high
    ]
    first, last = inside[0], inside[-1]
    clipped = {i: counts[i] for i in inside}
    if not sum(clipped.values()):
        return math.inf
    reference = dict(clipped)
    reference[first] += counts[:first].sum()
    reference[last] += counts[last + 1 :].sum()
    steps: dict[float, list[int]] = {}
    for i, level in zip(inside, on_grid(centers[inside], low, high, spec), strict=True):
        steps.setdefault(float(level), []).append(i)
    spread = dict.fromkeys(inside, 0.0)
    for members in steps.values():
        used = [i for i in members if clipped[i] > 0]
        for i in used:
            spread[i] = sum(clipped[j] for j in used) / len(used)
    p_total, q_total = sum(reference.values()), sum(spread.values())
    total = 0.0
    for i in inside:
        p, q = reference[i] / p_total, spread[i] / q_total
        if p > 0:
            total += p * math.log(p / q) if q > 0 else p
    return total


ERRORS: dict[Kind, Any] = {"mse": squared_error, "kl": divergence}

DATA = {
    "normal": lambda random: random.normal(size=20000),
    "relu": lambda random: np.maximum(random.normal(size=20000), 0),
    "laplace": lambda random: random.laplace(size=20000) * 1e-3,
    "shifted": lambda random: random.normal(loc=3.0, size=20000),
}
SPECS = {
    "unsigned": QuantSpec(num_bits=4, signed=False),
    "signed": QuantSpec(num_bits=3, signed=True),
    "asymmetric": QuantSpec(num_bits=4, signed=False, symmetric=False),
    "fine": QuantSpec(num_bits=8, signed=True),
}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("kind", KINDS)
def test_no_candidate_is_better(kind: Kind, name: str, spec: str) -> None:
    numbers = DATA[name](np.random.default_rng(0)).astype(np.float32)
    observer = histogram(kind, *torch.from_numpy(numbers).split(7000))
    exponent = exponent_of(numbers)
    centers = (np.arange(-HALF, HALF) + 0.5) * 2.0 ** (exponent - 11)
    counts = counted(numbers.astype(np.float64), exponent)
    np.testing.assert_array_equal(observer.counts.numpy(), counts)
    low, high = min(float(numbers.min()), 0.0), max(float(numbers.max()), 0.0)
    found = chosen(observer, SPECS[spec])
    share = found[1] / high
    assert share * NUM_CANDIDATES == pytest.approx(round(share * NUM_CANDIDATES), abs=1e-3)
    np.testing.assert_allclose(found[0], share * low, rtol=1e-6)
    few = kind == "kl"  # each error by loops takes milliseconds
    shares = np.arange(1, NUM_CANDIDATES + 1)[:: 8 if few else 1] / NUM_CANDIDATES
    exact = round(share * NUM_CANDIDATES) / NUM_CANDIDATES
    error = ERRORS[kind](counts, centers, exact * low, exact * high, SPECS[spec])
    least = min(
        ERRORS[kind](counts, centers, each * low, each * high, SPECS[spec]) for each in shares
    )
    assert error <= least * (1 + 1e-9)
    # The torch code and the loops agree on the value, too.
    arguments = (exact * torch.tensor(low).double(), exact * torch.tensor(high).double())
    value = observer.error(bin_centers(exponent), observer.counts, *arguments, SPECS[spec])
    np.testing.assert_allclose(value.item(), error, rtol=1e-9)


@pytest.mark.parametrize("num_bits", [2, 4, 8, 12])
@pytest.mark.parametrize("name", DATA)
def test_mse_is_the_best_for_the_numbers_themselves(name: str, num_bits: int) -> None:
    numbers = DATA[name](np.random.default_rng(1)).astype(np.float32).astype(np.float64)
    spec = QuantSpec(num_bits=num_bits, signed=bool(numbers.min() < 0))
    low, high = min(numbers.min(), 0.0), max(numbers.max(), 0.0)

    def error(low: float, high: float) -> float:
        return float(((numbers - on_grid(numbers, low, high, spec)) ** 2).sum())

    found = chosen(histogram("mse", torch.from_numpy(numbers).float()), spec)
    shares = np.arange(1, NUM_CANDIDATES + 1) / NUM_CANDIDATES
    assert error(*found) <= 1.02 * min(error(share * low, share * high) for share in shares)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.integers(0, 300),
)
@settings(deadline=None, max_examples=300)
def test_merged_bins_are_those_of_wider_bins(numbers: list[float], doublings: int) -> None:
    x = torch.tensor(numbers, dtype=torch.float32)
    first = max(-110, exponent_of(x.double().numpy()))
    last = min(first + doublings, 128)

    def counts(exponent: int) -> Tensor:
        index = bin_of(x, torch.tensor(exponent, dtype=torch.int32))
        return torch.zeros(NUM_BINS, dtype=torch.int64).scatter_add_(
            0, index, torch.ones_like(index)
        )

    merged = merge_bins(counts(first), torch.tensor(last - first))
    assert torch.equal(merged, counts(last))
    assert merged.sum() == len(numbers)
    exact = [min(math.floor(math.ldexp(v, 11 - first)), HALF - 1) + HALF for v in x.tolist()]
    assert bin_of(x, torch.tensor(first, dtype=torch.int32)).tolist() == exact


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_batches_does_not_matter(kind: Kind) -> None:
    """The range grows, so that bins merge, or is there from the beginning."""
    generator = torch.Generator().manual_seed(0)
    batches = [10.0**e * torch.randn(500, generator=generator) for e in (-9, -2, 0, 3)]
    one, two = histogram(kind, *batches), histogram(kind, *reversed(batches))
    assert torch.equal(one.counts, two.counts)
    assert one.exponent == two.exponent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_ranks", [2, 3])
def test_ranks_equal_one_with_all_batches(kind: Kind, num_ranks: int) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [10.0**e * torch.randn(500, generator=generator) for e in (-1, 0, 1, -3, 0, 2)]
    spec = QuantSpec(num_bits=4, signed=True)

    def found(communicator: Any) -> tuple[Tensor, Tensor]:
        observer = histogram(kind, *batches[communicator.rank :: communicator.size])
        low = communicator.all_reduce(observer.minimum, "min")
        high = communicator.all_reduce(observer.maximum, "max")
        return observer.range_for(spec, low, high, communicator)

    (wanted,) = on_ranks(1, found)
    assert on_ranks(num_ranks, found) == [wanted] * num_ranks


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_first_keep_the_bins_fine(kind: Kind) -> None:
    small = 1e-4 * torch.randn(500, generator=torch.Generator().manual_seed(0))
    late, alone = histogram(kind, torch.zeros(500), small), histogram(kind, small)
    assert late.exponent == alone.exponent
    alone.counts[HALF] += 500
    assert torch.equal(late.counts, alone.counts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbers", [[0.0, 1.0], [-1.0, 1.0], [0.3, 0.3], [0.0, 0.0]])
def test_few_numbers_are_not_clipped(kind: Kind, numbers: list[float]) -> None:
    spec = QuantSpec(num_bits=4, signed=min(numbers) < 0)
    wanted = (min(numbers[0], 0.0), numbers[1])
    assert chosen(histogram(kind, torch.tensor(numbers)), spec) == pytest.approx(wanted)


def test_kl_leaves_out_the_zeros_of_a_relu() -> None:
    """However many they are, they need no range; what lies beyond them has the same as alone."""
    positive = torch.randn(30000, generator=torch.Generator().manual_seed(0)).abs()
    spec = QuantSpec(num_bits=4, signed=False)
    with_zeros = histogram("kl", positive, torch.zeros(30000))
    assert chosen(with_zeros, spec) == chosen(histogram("kl", positive), spec)


@pytest.mark.parametrize("kind", KINDS)
def test_state_round_trip_and_reset(kind: Kind) -> None:
    batch, more = torch.randn(2, 300, generator=torch.Generator().manual_seed(0))
    observer, other = histogram(kind, 100 * more), histogram(kind)
    observer.reset()
    for name, value in histogram(kind).state_dict().items():
        assert torch.equal(observer.state_dict()[name], value), name
    observer(batch)
    other.load_state_dict(observer.state_dict())
    observer(more)
    other(more)
    for name, value in observer.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
