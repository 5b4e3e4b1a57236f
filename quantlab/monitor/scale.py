"""scale: the grid of a quantizer after the step, as the next forward pass finds it: its scales s,
its zero points z, and the numbers that its first and last code stand for:

    mean min max    of the scales; of a single one the mean alone
    zero_point      the mean of the zero points, of a quantizer that has them
    low high        the least (c_0 - z) s and the largest (c_K - z) s

Scales that are learned, or follow the weights, settle as training goes on; one that runs to zero or
away has a learning rate that is too large for it.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.monitor.grid import next_grid
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_QUANTIZERS, Subject, quantizers_of
from quantlab.quantizer import Quantizer


class Scale(Statistic):
    """See the module. Yields nothing before the quantizer starts."""

    def __init__(self, quantizer: Quantizer, weight: Tensor | None) -> None:
        """weight: what is quantized, if it is a parameter."""
        self._quantizer = quantizer
        self._weight = weight

    def peaks(self) -> Tensor:
        grid = self._quantizer
        if self._weight is not None:
            grid = next_grid(grid, self._weight)
        return torch.stack([grid.scale.detach(), grid.zero_point]).double().cpu().flatten()

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        if not self._quantizer.is_enabled:
            return
        scales, zero_points = peaks.chunk(2)
        yield "mean", float(scales.mean())
        if len(scales) > 1:
            yield "min", float(scales.min())
            yield "max", float(scales.max())
        if not self._quantizer.spec.symmetric:
            yield "zero_point", float(zero_points.mean())
        yield "low", float(((self._quantizer.quant_min - zero_points) * scales).min())
        yield "high", float(((self._quantizer.quant_max - zero_points) * scales).max())


class ScaleConfig(StatisticConfig):
    """The settings of scale; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_QUANTIZERS

    stat: Literal["scale"] = "scale"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {
            on: Scale(quantizer, layer._parameters.get(on))
            for on, quantizer in quantizers_of(layer).items()
        }
