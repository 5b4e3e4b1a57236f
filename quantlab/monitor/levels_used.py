"""levels_used: how many of a quantizer's codes occur, of how many that it has, and the entropy of
the codes in bits:

    used       the number of codes c with n_c > 0, of `available`
    entropy    -sum_c p_c log2 p_c,  p_c = n_c / N

Few used levels are bits paid for nothing: the range is too large, or fewer bits would do. The
entropy is what a perfect code would need for a number on average.

Shapes: K codes.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.monitor.quantizer_statistic import QuantizerStatistic
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_QUANTIZERS, Subject, quantizers_of
from quantlab.quantizer import Quantizer


def code_counts(quantizer: Quantizer, x: Tensor) -> Tensor:
    """Return how often each code of a quantizer occurs in `x`, int64 [K]."""
    codes = quantizer.codes(x).flatten()
    levels = quantizer.spec.levels
    if levels is not None:
        codes = torch.bucketize(codes, torch.tensor(levels, dtype=codes.dtype, device=codes.device))
    else:
        codes -= quantizer.quant_min
    num_codes = len(quantizer.spec.codes)
    # A number that is none has no code.
    return torch.bincount(codes.clamp_(0, num_codes - 1), minlength=num_codes)


def entropy(counts_K: Tensor) -> Tensor:
    """Return the entropy in bits of what occurs so often, float64 []."""
    counts_K = counts_K[counts_K > 0].double()
    shares = counts_K / counts_K.sum()
    return -(shares * shares.log2()).sum()


class LevelsUsed(QuantizerStatistic):
    """See the module. Yields nothing before the quantizer starts."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__(quantizer, len(quantizer.spec.codes))

    def measure(self, x: Tensor) -> Tensor:
        return code_counts(self.quantizer, x).double()

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        used = int((sums > 0).sum())
        if used:
            yield "used", float(used)
            yield "available", float(len(sums))
            yield "entropy", float(entropy(sums))


class LevelsUsedConfig(StatisticConfig):
    """The settings of levels_used; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_QUANTIZERS

    stat: Literal["levels_used"] = "levels_used"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {on: LevelsUsed(quantizer) for on, quantizer in quantizers_of(layer).items()}
