"""clipping_share: the share of the numbers that a quantizer clips: those that lie beyond its first
or last level by more than half the distance to the level beside it, so that they move further than
rounding would move them.

With levels c_0 < ... < c_K, the scale s and the zero point z, x is clipped where

    x / s + z < c_0 - (c_1 - c_0) / 2   or   x / s + z >= c_K + (c_K - c_(K-1)) / 2

What is clipped gets no gradient from most algorithms. A few per mille are a good trade for a finer
grid; several per cent say that the range is too small, none at all that it may be too large.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.monitor.quantizer_statistic import QuantizerStatistic
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_QUANTIZERS, Subject, quantizers_of
from quantlab.numerics.affine import widen
from quantlab.quantizer import Quantizer


def num_clipped(quantizer: Quantizer, x: Tensor) -> Tensor:
    """Return how many numbers of `x` a quantizer clips, float64 []."""
    codes = quantizer.spec.codes
    low = codes[0] - (codes[1] - codes[0]) / 2
    high = codes[-1] + (codes[-1] - codes[-2]) / 2
    v, zero_point = quantizer.split(widen(x)) / quantizer.scale, quantizer.zero_point
    return ((v < low - zero_point).sum() + (v >= high - zero_point).sum()).double()


class ClippingShare(QuantizerStatistic):
    """See the module. Yields nothing before the quantizer starts."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__(quantizer, 2)

    def measure(self, x: Tensor) -> Tensor:
        clipped = num_clipped(self.quantizer, x)
        return torch.stack([clipped, torch.full_like(clipped, x.numel())])

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        clipped, count = sums.tolist()
        if count:
            yield "", clipped / count


class ClippingShareConfig(StatisticConfig):
    """The settings of clipping_share; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_QUANTIZERS

    stat: Literal["clipping_share"] = "clipping_share"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {on: ClippingShare(quantizer) for on, quantizer in quantizers_of(layer).items()}
