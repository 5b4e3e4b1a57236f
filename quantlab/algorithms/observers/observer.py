"""What every observer can do."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from quantlab.controller import Reducer
from quantlab.quantizer import QuantSpec

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
            x = x.detach()
            low, high = self.batch_range(x)
            low, high = low.to(self.minimum.dtype), high.to(self.maximum.dtype)
            self.update(low.clamp(max=0), high.clamp(min=0))
            self.count(x)
            self.num_batches += 1

    def reset(self) -> None:
        """Forget all batches."""
        for statistic in (self.minimum, self.maximum, self.num_batches):
            statistic.zero_()

    def batch_range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ends of one batch's range."""
        low, high = torch.aminmax(x)
        return low, high

    @abstractmethod
    def update(self, low: Tensor, high: Tensor) -> None:
        """Merge the range of a batch into that of those before."""

    def count(self, x: Tensor) -> None:
        """Take in what else of a batch matters."""
        return

    def range_for(
        self, spec: QuantSpec, minimum: Tensor, maximum: Tensor, communicator: Reducer
    ) -> tuple[Tensor, Tensor]:
        """Return the range for a grid, given the merged one of all ranks; the same on each."""
        return minimum, maximum


def every_kth(x: Tensor) -> Tensor:
    """Return at most MAX_SAMPLES numbers of a tensor, evenly spread over each of its axes."""
    flat = x.reshape(-1)
    count = flat.numel()
    step = max(1, -(-count // MAX_SAMPLES))
    # A step that shares a factor with the width would see some columns only, such as the border.
    while math.gcd(step, count) > 1:
        step += 1
    return flat[::step]
