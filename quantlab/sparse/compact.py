"""Inputs that wait for the backward pass in eight bits."""

from math import isfinite

import torch
from torch import Tensor

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.memory.pages import allocate
from quantlab.sparse.batch_innermost import is_batch_innermost, memory
from quantlab.sparse.layouts import collect
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


def compact_planes(
    x: Tensor, planes: Tensor, plan: Plan, factor: float = 1.0
) -> tuple[Tensor, tuple[float, float]]:
    """Return codes of an input, float32, in 255 equal steps from the least to the largest: uint8,
    with the batch innermost; and start and step.

    planes: of x times the factor, as the plan lays it out. Raises UsageError for NaN and infinity.
    """
    numbers = memory(x) if is_batch_innermost(x) else _turned(x, planes, plan, factor)
    low, high = (float(end) for end in numbers.aminmax()) if x.numel() else (0.0, 0.0)
    if not isfinite(high - low):
        raise UsageError("input: has NaN or infinity; finite numbers, for eight bits, allowed")
    step = (high - low) / 255 or 1.0
    codes = allocate(x.numel(), torch.uint8)
    backend.encode(numbers.numpy(), low, step, codes.numpy())
    return codes, (low, step)


def restore_planes(
    codes: Tensor, scales: tuple[float, ...], plan: Plan, planes: Tensor, factor: float = 1.0
) -> None:
    """Write an input times the factor, each number within half a step of what it was, as planes."""
    start, step = scales
    backend.decode(plan.x_layout, codes.numpy(), planes.numpy(), start * factor, step * factor)


def _turned(x: Tensor, planes: Tensor, plan: Plan, factor: float) -> Tensor:
    """Return an input with the batch innermost, flat; zeros for what the layer does not read."""
    numbers = scratch("inputs", x.numel(), torch.float32)
    turned = numbers.view(*x.shape[1:], x.shape[0]).movedim(-1, 0)
    collect(plan.x_layout, planes, turned, 1 / factor)
    return numbers
