"""How the numbers of tensors are distributed, gathered over the batches and the ranks of a step.

    mean    sum x / N
    std     sqrt(sum x^2 / N - mean^2)
    min max the least and the largest
    zeros   the share that is exactly 0
    ""      the histogram of the finite ones, see `histogram`

Sums are float64, whatever the type of the tensors.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from quantlab.monitor.histogram import NUM_BINS, BinCounts, to_histogram
from quantlab.monitor.statistic import Value

NUM_PEAKS = 3  # max, -min, exponent of the bins
NUM_SUMS = 4 + NUM_BINS  # N, sum x, sum x^2, zeros, counts


class Distribution:
    """The numbers of all tensors added. `peaks`, `sums` and `values` are those of a Statistic."""

    def __init__(self) -> None:
        self._peaks = torch.full((2,), -math.inf, dtype=torch.float64)
        self._sums = torch.zeros(4, dtype=torch.float64)
        self._bins = BinCounts()

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Take in a tensor of any shape and floating type. Waits for the device."""
        if not x.numel():
            return
        low, high = torch.stack(x.detach().aminmax()).double().tolist()
        self._peaks = torch.maximum(self._peaks, torch.tensor([high, -low], dtype=torch.float64))
        total = x.sum(dtype=torch.float64)
        squares = torch.linalg.vector_norm(x, dtype=torch.float64).square()
        zeros = (x == 0).sum().double()
        self._sums[0] += x.numel()
        self._sums[1:] += torch.stack([total, squares, zeros]).cpu()
        self._bins.add(x, max(high, -low))

    def peaks(self) -> Tensor:
        exponent = torch.tensor([self._bins.exponent], dtype=torch.float64)
        return torch.cat([self._peaks, exponent])

    def sums(self, peaks: Tensor) -> Tensor:
        return torch.cat([self._sums, self._bins.coarsened(int(peaks[2]))])

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        high, negated_low, exponent = peaks.tolist()
        count, total, squares, zeros, *counts = sums.tolist()
        if not count:
            return
        mean = total / count
        yield "", to_histogram(counts, int(exponent))
        yield "mean", mean
        yield "std", math.sqrt(max(squares / count - mean * mean, 0.0))
        yield "min", -negated_low
        yield "max", high
        yield "zeros", zeros / count
