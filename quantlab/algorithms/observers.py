"""Observers: the range of a tensor from the batches that pass.

    name             range [minimum, maximum] after batches 1, ..., n
    minmax           the least and the greatest number seen
    moving_average   averages of each batch's least and greatest number: over all batches at first,
                     with weight 1 - DECAY for the newest later (Jacob et al. 2018,
                     arXiv:1712.05877, section 3.1)
    percentile       the same averages of each batch's percentiles 100 - p and p

All ranges include zero. Only the batches' ranges are kept, on the tensor's device, and nothing
waits for it.
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

ObserverKind = Literal["minmax", "moving_average", "percentile"]

DECAY = 0.99
# Enough for the 99.9th percentile (32 numbers lie above it) and quick to search.
MAX_SAMPLES = 32768


class Observer(nn.Module, ABC):
    """Base of all observers. minimum, maximum: scalars, float32; num_batches: int64."""

    minimum: Tensor
    maximum: Tensor
    num_batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("minimum", torch.zeros(()))
        self.register_buffer("maximum", torch.zeros(()))
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> None:
        """Take a batch into account."""
        with torch.no_grad():
            low, high = self.batch_range(x.detach())
            low, high = low.to(self.minimum.dtype), high.to(self.maximum.dtype)
            self.update(low.clamp(max=0), high.clamp(min=0))
            self.num_batches += 1

    def batch_range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ends of one batch's range."""
        low, high = torch.aminmax(x)
        return low, high

    @abstractmethod
    def update(self, low: Tensor, high: Tensor) -> None:
        """Merge the range of a batch into that of those before."""


class MinMax(Observer):
    """See the module's table."""

    def update(self, low: Tensor, high: Tensor) -> None:
        self.minimum.copy_(torch.minimum(self.minimum, low))
        self.maximum.copy_(torch.maximum(self.maximum, high))


class MovingAverage(Observer):
    """See the module's table."""

    def update(self, low: Tensor, high: Tensor) -> None:
        weight = (1.0 / (self.num_batches + 1.0)).clamp(min=1.0 - DECAY)
        self.minimum.lerp_(low, weight.to(low.dtype))
        self.maximum.lerp_(high, weight.to(high.dtype))


class Percentile(MovingAverage):
    """See the module's table. Of large tensors, every k-th number is looked at."""

    def __init__(self, percentile: float) -> None:
        super().__init__()
        self.percentile = percentile

    def batch_range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.reshape(-1)
        samples = flat[:: -(-flat.numel() // MAX_SAMPLES)]
        count = samples.numel()
        above = min(int(count * (1.0 - self.percentile / 100.0)), count - 1)
        low = samples.kthvalue(above + 1).values
        high = samples.kthvalue(count - above).values
        return low, high


def make_observer(kind: ObserverKind, percentile: float) -> Observer:
    """Return a new observer; `percentile` only matters to the one that is called so."""
    if kind == "minmax":
        return MinMax()
    return MovingAverage() if kind == "moving_average" else Percentile(percentile)
