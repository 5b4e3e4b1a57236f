"""Gradients of numbers that did not pass."""

import torch
from torch import Tensor


def hold_back(gradient: Tensor, is_passing: Tensor, out: Tensor) -> Tensor:
    """Write a gradient where a tensor of its type and shape is above zero, and zeros elsewhere,
    even for infinity and NaN; return it. out: may be `is_passing`."""
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, is_passing, 0, grad_input=out
    )
    return found
