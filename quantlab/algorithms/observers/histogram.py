"""Observers that choose a range by the distribution of all numbers seen.

The numbers are counted in bins of equal width over [-2^e, 2^e), where 2^e is the least power of two
beyond all of them: as e grows, bins merge in pairs, so that no number is counted twice or moved,
and the counts of several ranks can be added exactly.

    mse    the range with the least sum of (v - Q(v))^2 over the bins' centers v, Q the grid's
           rounding (as R. Banner et al. 2019, arXiv:1810.05723, section 3, minimize it)
    kl     the range with the least Kullback-Leibler divergence sum p log(p / q), where p is the
           distribution with all beyond the range moved to its ends, and q the same in as many
           steps as the grid has (S. Migacz, 8-bit Inference with TensorRT, GTC 2017), zeros left
           out; it needs many more numbers than there are bins

The candidates are NUM_CANDIDATES equal shares of the observed range.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from quantlab.algorithms.observers.extremes import MinMax
from quantlab.algorithms.observers.observer import every_kth
from quantlab.controller import Reducer
from quantlab.numerics.affine import choose_scale_zero_point, fake_quantize
from quantlab.quantizer import QuantSpec

_LOG2_HALF = 11
_HALF = 1 << _LOG2_HALF
NUM_BINS = 2 * _HALF
NUM_CANDIDATES = 128
_LEAST_EXPONENT = -110  # as small as the reciprocal of a bin's width is finite in float32


class Histogram(MinMax):
    """Base of both. counts: [NUM_BINS], int64; exponent: e of the module's text, int32."""

    counts: Tensor
    exponent: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(NUM_BINS, dtype=torch.int64))
        self.register_buffer("exponent", torch.tensor(_LEAST_EXPONENT, dtype=torch.int32))

    def reset(self) -> None:
        super().reset()
        self.counts.zero_()
        self.exponent.fill_(_LEAST_EXPONENT)

    def count(self, x: Tensor) -> None:
        widest = torch.maximum(-self.minimum, self.maximum)
        _, exponent = torch.frexp(widest)  # widest = m * 2^exponent, 1/2 <= m < 1
        exponent = exponent.to(torch.int32).masked_fill(widest == 0, _LEAST_EXPONENT)
        exponent = torch.maximum(exponent, self.exponent)
        self.counts.copy_(merge_bins(self.counts, exponent - self.exponent))
        self.exponent.copy_(exponent)
        index = bin_of(every_kth(x).to(torch.float32), exponent)
        self.counts.scatter_add_(0, index, torch.ones_like(index))

    def range_for(
        self, spec: QuantSpec, minimum: Tensor, maximum: Tensor, communicator: Reducer
    ) -> tuple[Tensor, Tensor]:
        exponent = communicator.all_reduce(self.exponent.clone(), "max")
        counts = merge_bins(self.counts, exponent - self.exponent)
        counts = communicator.all_reduce(counts, "sum").cpu()
        low, high = minimum.cpu().double(), maximum.cpu().double()
        centers = bin_centers(int(exponent))
        shares = torch.arange(1, NUM_CANDIDATES + 1, dtype=torch.float64) / NUM_CANDIDATES
        errors = [self.error(centers, counts, share * low, share * high, spec) for share in shares]
        best = shares[torch.stack(errors).argmin()]
        return (best * low).to(minimum), (best * high).to(maximum)

    @abstractmethod
    def error(
        self, centers: Tensor, counts: Tensor, low: Tensor, high: Tensor, spec: QuantSpec
    ) -> Tensor:
        """Return how far the grid of a range is from the numbers counted: a float64 scalar."""


class Mse(Histogram):
    """See the module."""

    def error(
        self, centers: Tensor, counts: Tensor, low: Tensor, high: Tensor, spec: QuantSpec
    ) -> Tensor:
        grid = _on_grid(centers, low, high, spec)
        return ((centers - grid).square() * counts).sum()


class Kl(Histogram):
    """See the module."""

    def error(
        self, centers: Tensor, counts: Tensor, low: Tensor, high: Tensor, spec: QuantSpec
    ) -> Tensor:
        # Zero, where a ReLU leaves most numbers, is on every grid: its bin counts like the next.
        counts = counts.clone()
        counts[_HALF] = counts[_HALF + 1]
        half_width = centers[_HALF]
        inside = (centers + half_width >= low) & (centers - half_width <= high)
        if not bool((counts * inside).any()):
            return torch.tensor(math.inf, dtype=torch.float64)
        reference = counts.double() * inside
        ends = inside.nonzero()
        reference[ends[0]] += counts[: ends[0]].sum()
        reference[ends[-1]] += counts[ends[-1] + 1 :].sum()
        # Each step of the grid spreads what it holds evenly over its bins that are not empty.
        grid = _on_grid(centers, low, high, spec)
        _, step = grid.unique(return_inverse=True)
        is_used = (counts > 0) & inside
        held = torch.zeros_like(reference).scatter_add_(0, step, counts.double() * is_used)
        used = torch.zeros_like(reference).scatter_add_(0, step, is_used.double())
        spread = torch.where(is_used, held[step] / used[step].clamp(min=1), 0.0)
        p, q = reference / reference.sum(), spread / spread.sum()
        both = (p > 0) & (q > 0)
        lost = p[(p > 0) & (q == 0)].sum()  # numbers whose step the clipped distribution lacks
        return (p[both] * (p[both] / q[both]).log()).sum() + lost


def bin_of(samples: Tensor, exponent: Tensor) -> Tensor:
    """Return the bin of each number, int64; what lies beyond the range is in the outermost, a NaN
    in the middle.

    Exact for all numbers: what is counted and then merged equals what is counted in wider bins.
    """
    bins = torch.ldexp(samples, _LOG2_HALF - exponent).floor_()
    # The least negative numbers may vanish in the product, but lie below zero nevertheless.
    bins = torch.where(samples < 0, bins.clamp(max=-1), bins)
    return bins.nan_to_num(0.0).clamp_(-_HALF, _HALF - 1).long() + _HALF


def merge_bins(counts: Tensor, times: Tensor) -> Tensor:
    """Return the counts after the range has doubled `times` times: 2^times bins become one.

    times: an integer scalar on the device of `counts`; nothing waits for its value.
    """
    from_center = torch.arange(-_HALF, _HALF, device=counts.device)
    # Beyond 62 doublings all is in the two bins beside zero anyway.
    index = (from_center >> times.long().clamp(max=62)) + _HALF
    return torch.zeros_like(counts).scatter_add_(0, index, counts)


def bin_centers(exponent: int) -> Tensor:
    """Return the centers of the bins, [NUM_BINS], float64."""
    return (torch.arange(-_HALF, _HALF, dtype=torch.float64) + 0.5) * (2.0**exponent / _HALF)


def _on_grid(centers: Tensor, low: Tensor, high: Tensor, spec: QuantSpec) -> Tensor:
    scale, zero_point = choose_scale_zero_point(
        low, high, quant_min=spec.quant_min, quant_max=spec.quant_max, symmetric=spec.symmetric
    )
    return fake_quantize(
        centers, scale, zero_point, quant_min=spec.quant_min, quant_max=spec.quant_max
    )
