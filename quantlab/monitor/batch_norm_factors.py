"""batch_norm_factors: gamma and beta of a batch norm, y = gamma (x - mean) / std + beta, over its
channels; mean, min, max and histogram of each, after the step.

A gamma near 0 is a channel that can be pruned. One below 0 turns the order of its channel around:
max pooling then does not commute with it. Gammas far apart leave a quantizer with one scale for all
channels little resolution for the small ones.

Shapes: C channels.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.monitor.histogram import BinCounts, to_histogram
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import BATCH_NORMS, Subject


class BatchNormFactors(Statistic):
    """See the module."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer

    def peaks(self) -> Tensor:
        factors = [self._layer.get_parameter(name) for name in ("weight", "bias")]
        return torch.cat([factor.detach().double().cpu() for factor in factors])

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        for name, factors_C in zip(("gamma", "beta"), peaks.chunk(2), strict=True):
            bins = BinCounts()
            bins.add(factors_C, float(factors_C.abs().max()))
            yield name, to_histogram(bins.counts.tolist(), bins.exponent)
            yield f"{name}/mean", float(factors_C.mean())
            yield f"{name}/min", float(factors_C.min())
            yield f"{name}/max", float(factors_C.max())


class BatchNormFactorsConfig(StatisticConfig):
    """The settings of batch_norm_factors; see `StatisticConfig`."""

    subject: ClassVar[Subject] = BATCH_NORMS

    stat: Literal["batch_norm_factors"] = "batch_norm_factors"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": BatchNormFactors(layer)}
