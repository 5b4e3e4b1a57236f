"""sqnr: the signal-to-quantization-noise ratio of a quantizer, in dB:

    10 log10(sum x^2 / sum (x - q(x))^2)

where q puts all of x on the grid, as in evaluation, also where an algorithm's training does less.
A bit more is worth about 6 dB. Of the tensors of a network, those with the least sqnr lose most.
"""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.monitor.quantizer_statistic import QuantizerStatistic
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_QUANTIZERS, Subject, quantizers_of
from quantlab.monitor.weight_norm import norm
from quantlab.numerics.affine import widen
from quantlab.quantizer import Quantizer


class Sqnr(QuantizerStatistic):
    """See the module. Yields nothing before the quantizer starts, and no number without noise."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__(quantizer, 2)

    def measure(self, x: Tensor) -> Tensor:
        x = widen(x)
        noise = self.quantizer.dequantize(self.quantizer.codes(x)).sub_(x)
        return torch.stack([norm(x), norm(noise)]).square()

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        signal, noise = sums.tolist()
        if signal:
            yield "", 10.0 * math.log10(signal / noise) if noise else math.inf


class SqnrConfig(StatisticConfig):
    """The settings of sqnr; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_QUANTIZERS

    stat: Literal["sqnr"] = "sqnr"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {on: Sqnr(quantizer) for on, quantizer in quantizers_of(layer).items()}
