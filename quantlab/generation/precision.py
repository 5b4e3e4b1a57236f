"""Factors are multiplied in the type that they have."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast has no effect on tensors beside `x`."""
    device = x.device.type
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
