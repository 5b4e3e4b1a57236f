"""Tensors that wait for the backward pass in eight bits."""

from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.sparse.scratch import scratch


class Compact(NamedTuple):
    """Numbers start + codes * step, float32. codes: uint8, flat."""

    codes: Tensor
    start: float
    step: float

    def restored(self) -> Tensor:
        """Return the numbers, flat, each within half a step of what it was, in memory that is valid
        until this thread's next call."""
        x = scratch("inputs", len(self.codes), torch.float32)
        backend.decode(self.codes.numpy(), self.start, self.step, x.numpy())
        return x


def compact(x: Tensor) -> Compact:
    """Return numbers in 255 equal steps from the least to the largest.

    Raises UsageError for NaN and infinity.
    """
    low, high = (float(end) for end in x.aminmax()) if x.numel() else (0.0, 0.0)
    if not isfinite(high - low):
        raise UsageError("input: has NaN or infinity; finite numbers, for eight bits, allowed")
    step = (high - low) / 255 or 1.0
    codes = torch.empty(x.numel(), dtype=torch.uint8)
    backend.encode(x.detach().reshape(-1).numpy(), low, step, codes.numpy())
    return Compact(codes, low, step)
