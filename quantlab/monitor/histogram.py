"""Histograms whose bins can be merged: of several batches, and of several ranks.

With an exponent e, the numbers of |x| < 2^e are counted in 128 bins of the width 2^e / 64, which
start at its multiples. Two neighbours of them are one bin of the exponent e + 1; so counts are made
with the least exponent that will do, and coarsened without loss when larger numbers come.

Shapes: B = 128 bins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.numerics.affine import widen

NUM_BINS = 128
# Below, widths would leave float32. Numbers that are nothing beside a bin may count as zero.
MIN_EXPONENT = -100
_HALF = NUM_BINS // 2


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How many numbers lie where: `counts[i]` of them in [edges[i], edges[i + 1])."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1:
            raise UsageError(
                f"edges: {len(self.edges)} given for {len(self.counts)} counts, one more allowed"
            )


class BinCounts:
    """Counts the numbers of several tensors. counts: float64 [B], on the CPU."""

    def __init__(self) -> None:
        self.exponent = MIN_EXPONENT
        self.counts = torch.zeros(NUM_BINS, dtype=torch.float64)

    def add(self, x: Tensor, peak: float) -> None:
        """Count the finite numbers of `x`, any shape. peak: max|x|. Waits for the device."""
        x = widen(x.detach())
        if not math.isfinite(peak):
            x = x[x.isfinite()]
            peak = float(x.abs().max()) if x.numel() else 0.0
        exponent = max(math.frexp(peak)[1] if peak else MIN_EXPONENT, self.exponent)
        self.counts = self.coarsened(exponent)
        self.exponent = exponent
        bins = (x / bin_width(exponent)).floor_().add_(_HALF).to(torch.uint8)
        self.counts += torch.bincount(bins.flatten(), minlength=NUM_BINS).cpu()

    def coarsened(self, exponent: int) -> Tensor:
        """Return the counts with an exponent at least the own one."""
        bins = (torch.arange(-_HALF, _HALF) >> min(exponent - self.exponent, 8)) + _HALF
        return torch.zeros_like(self.counts).index_add_(0, bins, self.counts)


def bin_width(exponent: int) -> float:
    """Return the width of the bins that hold the numbers below 2^exponent."""
    return math.ldexp(1.0 / _HALF, exponent)


def to_histogram(counts: Sequence[float], exponent: int) -> Histogram:
    """Return counts of an exponent, [B], as a histogram without the empty bins at both ends."""
    used = [i for i, count in enumerate(counts) if count] or [_HALF]
    first, stop = used[0], used[-1] + 1
    width = bin_width(exponent)
    return Histogram(
        edges=tuple((i - _HALF) * width for i in range(first, stop + 1)),
        counts=tuple(int(count) for count in counts[first:stop]),
    )
