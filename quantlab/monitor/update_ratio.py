"""update_ratio: ||dw||_2 / ||w||_2, how far one step of the optimizer moves a layer's weights,
against their size before it.

About 1e-3 is usual. Much more, and the layer jumps; much less, and it does not learn, be it by the
learning rate or since no gradient arrives.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.graphs.weights import weight_of
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_WEIGHTS, Subject
from quantlab.monitor.weight_norm import norm


class UpdateRatio(Statistic):
    """See the module. Yields the ratio; not a number for weights that were all zero."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        self._before = weight_of(self._layer).detach().clone()
        return ()

    def peaks(self) -> Tensor:
        moved = weight_of(self._layer).detach() - self._before
        return torch.stack([norm(moved), norm(self._before)]).cpu()

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        moved, size = peaks.tolist()
        yield "", moved / size if size else math.nan


class UpdateRatioConfig(StatisticConfig):
    """The settings of update_ratio; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_WEIGHTS

    stat: Literal["update_ratio"] = "update_ratio"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": UpdateRatio(layer)}
