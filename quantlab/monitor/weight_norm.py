"""weight_norm: ||w||_2, the length of a layer's weights taken as one vector.

Where batch norm follows, only the direction of the weights counts, and a norm that grows lowers the
effective learning rate. A norm that falls all the time says that weight decay wins.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from quantlab.graphs.weights import weight_of
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value
from quantlab.monitor.subjects import LAYERS_WITH_WEIGHTS, Subject


def norm(x: Tensor) -> Tensor:
    """Return ||x||_2 over all of `x`, float64 []."""
    length: Tensor = torch.linalg.vector_norm(x.detach(), dtype=torch.float64)
    return length


class WeightNorm(Statistic):
    """See the module. Yields the norm after the step."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer

    def peaks(self) -> Tensor:
        return norm(weight_of(self._layer)).cpu().reshape(1)

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        yield "", float(peaks[0])


class WeightNormConfig(StatisticConfig):
    """The settings of weight_norm; see `StatisticConfig`."""

    subject: ClassVar[Subject] = LAYERS_WITH_WEIGHTS

    stat: Literal["weight_norm"] = "weight_norm"

    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        return {"": WeightNorm(layer)}
