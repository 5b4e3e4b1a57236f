"""Observers of the ends of the range."""

import torch
from torch import Tensor

from quantlab.algorithms.observers.observer import Observer, every_kth

DECAY = 0.99


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
        samples = every_kth(x)
        count = samples.numel()
        # Of 1000 numbers, one lies above the percentile 99.9, which has no exact float.
        above = min(int(count * (100.0 - self.percentile) / 100.0 + 1e-6), count - 1)
        low = samples.kthvalue(above + 1).values
        high = samples.kthvalue(count - above).values
        # A NaN counts as the greatest number and would be cut off with the largest.
        least, greatest = torch.aminmax(x)
        is_finite = least.isfinite() & greatest.isfinite()
        return torch.where(is_finite, low, torch.nan), torch.where(is_finite, high, torch.nan)
