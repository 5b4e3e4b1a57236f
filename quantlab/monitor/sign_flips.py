"""sign_flips: the share of a layer's weights whose sign one step of the optimizer changed, from
negative to positive or back; and, where a quantizer is on the weight, the share whose code it
changed, each on the grid of its time:

    sign    mean(sign(w) sign(w') < 0)
    code    mean(c(w) != c'(w'))

Near the end of training hardly any code should change. Where many still do, weights oscillate about
a threshold between two levels: the running statistics of batch norms then belong to no one network.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.graphs.weights import weight_of
from quantlab.monitor.grid import next_grid
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_WEIGHTS, Subject, quantizers_of


class SignFlips(Statistic):
    """See the module. Yields the codes' share once the weight's quantizer has started."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        quantizer = quantizers_of(layer).get("weight")
        self._quantizer = quantizer if quantizer is not None and quantizer.is_enabled else None

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        self._signs, self._codes = self._observed()
        return ()

    def peaks(self) -> Tensor:
        signs, codes = self._observed()
        sign = (signs * self._signs < 0).double().mean()
        code = (codes != self._codes).double().mean()
        return torch.stack([sign, code]).cpu()

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        yield "sign", float(peaks[0])
        if self._quantizer is not None:
            yield "code", float(peaks[1])

    def _observed(self) -> tuple[Tensor, Tensor]:
        weight = weight_of(self._layer).detach()
        signs = weight.sign()
        if self._quantizer is None:
            return signs, signs
        return signs, next_grid(self._quantizer, weight).codes(weight)


class SignFlipsConfig(StatisticConfig):
    """The settings of sign_flips; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_WEIGHTS

    stat: Literal["sign_flips"] = "sign_flips"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": SignFlips(layer)}
