"""A batch norm that keeps one byte of each number for the backward pass, where torch's keeps four,
and another four if a ReLU follows."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab.autograd import apply, uncompiled
from quantlab.backend import PlaneLayout
from quantlab.sparse.batch_innermost import empty, is_batch_innermost, memory
from quantlab.sparse.layouts import collect, in_order_of_planes, lay_out
from quantlab.sparse.norm import (
    KeptNorm,
    Norm,
    count_of,
    normalize,
    normalize_back,
    parameters,
    track,
)
from quantlab.sparse.scratch import scratch


class CompactBatchNorm2d(nn.Module):
    """y = relu(batch_norm(x)) for images `[B, C, H, W]`, or without the ReLU.

    In training on the CPU in float32, the batch of y is innermost in memory, and gradients are as
    exact as eight bits of the normalized images allow. Elsewhere it is the batch norm.
    """

    def __init__(self, batch_norm: nn.BatchNorm2d, *, has_relu: bool) -> None:
        super().__init__()
        self.batch_norm, self.has_relu = batch_norm, has_relu

    def forward(self, x: Tensor) -> Tensor:
        """Return the output. Raises UsageError."""
        is_training = self.training and self.batch_norm.training and torch.is_grad_enabled()
        is_taken = x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0
        if is_training and is_taken:
            return self._compact(x)
        y: Tensor = self.batch_norm(x)
        return F.relu(y) if self.has_relu else y

    @uncompiled
    def _compact(self, x: Tensor) -> Tensor:
        count = count_of(self.batch_norm, tuple(x.shape))
        gamma, beta = parameters(self.batch_norm)
        moments = x.new_empty(2, len(gamma))
        norm = Norm(self.batch_norm.eps, self.has_relu)
        y = apply(_CompactBatchNorm, x, gamma, beta, norm, moments)
        track(self.batch_norm, moments, count)
        return y

    def extra_repr(self) -> str:
        """Return what printing shows."""
        return f"has_relu={self.has_relu}"


class _CompactBatchNorm(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, norm: Norm, moments: Tensor
    ) -> Tensor:
        y = empty(tuple(x.shape), x.dtype, batch_innermost=True)
        if is_batch_innermost(x):
            y.copy_(x)
        else:
            lay_out(_whole(*x.shape[1:]), x, memory(y))
        kept = normalize(memory(y), gamma, beta, norm)
        moments.copy_(kept.moments)
        ctx.save_for_backward(*kept, gamma, beta)
        ctx.norm, ctx.is_batch_innermost = norm, is_batch_innermost(x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        codes, constants, gamma, beta = ctx.saved_tensors
        shape = tuple(y_gradient.shape)
        layout = _whole(*shape[1:])
        x_gradient = empty(shape, y_gradient.dtype, batch_innermost=ctx.is_batch_innermost)
        is_made_there = is_batch_innermost(x_gradient)
        z_gradient = (
            memory(x_gradient)
            if is_made_there
            else scratch("inputs", y_gradient.numel(), y_gradient.dtype)
        )
        given = in_order_of_planes(layout, y_gradient, z_gradient)
        kept = KeptNorm(codes, constants)
        sums = normalize_back(given, z_gradient, gamma, beta, kept, ctx.norm)
        if not is_made_there:
            collect(layout, z_gradient, x_gradient)
        return x_gradient, *sums, None, None


@lru_cache(maxsize=16)
def _whole(channels: int, height: int, width: int) -> PlaneLayout:
    """Return the layout of images as planes without padding."""
    return PlaneLayout(channels, np.arange(height * width, dtype=np.int64), height * width)
