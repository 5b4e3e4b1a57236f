"""Convolution, batch norm, ReLU and max pooling in one, with the batch innermost between them.

Dense layers keep eight bytes of each number for the backward pass: the output of the convolution
in float for the batch norm, and that of the ReLU for the next convolution. A block keeps two: its
input and the normalized output of the convolution in eight bits, as `norm` defines.
"""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab.autograd import apply, uncompiled
from quantlab.errors import UsageError
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Kept
from quantlab.sparse.batch_innermost import empty, is_batch_innermost, memory
from quantlab.sparse.convolution import SparseConv2d
from quantlab.sparse.convolution_layer import Conv2dLayer
from quantlab.sparse.functional import input_gradient
from quantlab.sparse.layouts import in_order_of_planes
from quantlab.sparse.norm import (
    KeptNorm,
    Norm,
    count_of,
    normalize,
    normalize_back,
    parameters,
    track,
)
from quantlab.sparse.plan import Plan
from quantlab.sparse.pool import pool, spread
from quantlab.sparse.scratch import scratch


class SparseBlock(nn.Module):
    """y = pool(relu(batch_norm(conv(x)))) for images `[B, C, H, W]`, float32, on the CPU.

    conv: a sparse layer in any arithmetic. has_relu: without, a block ends with the batch norm.
    has_pool: max pooling of 2 x 2 with a stride of 2; odd rows and columns at the end are left out.
    In training the batch of y is innermost in memory, of which the next block takes advantage. In
    evaluation a block computes what the layers do.
    """

    def __init__(
        self,
        conv: Conv2dLayer,
        batch_norm: nn.BatchNorm2d,
        *,
        has_relu: bool = True,
        has_pool: bool = False,
    ) -> None:
        super().__init__()
        outputs = conv.pattern.shape[0]
        if batch_norm.num_features != outputs:
            raise UsageError(
                f"batch_norm: of {batch_norm.num_features} features given; {outputs} allowed"
            )
        if any(conv.extra_padding):
            raise UsageError(
                f"conv: padding_mode '{conv.padding_mode}' or uneven padding given; the same zeros "
                "on both sides allowed"
            )
        if conv.weight.dtype != torch.float32:
            raise UsageError(f"conv: of {conv.weight.dtype} given; float32 allowed")
        self.conv, self.batch_norm = conv, batch_norm
        self.has_relu, self.has_pool = has_relu, has_pool

    @classmethod
    def from_dense(
        cls, conv: nn.Conv2d, batch_norm: nn.BatchNorm2d, mask: Tensor | None = None, **ends: bool
    ) -> Self:
        """Return the block of dense layers, in float32; `ends` as in the constructor."""
        return cls(SparseConv2d.from_dense(conv, mask), batch_norm, **ends)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, `[B, O, H', W']`. Raises UsageError."""
        is_training = self.training and self.batch_norm.training and torch.is_grad_enabled()
        if is_training and x.numel() > 0:
            return self._fused(x)
        return self._unfused(x)

    @uncompiled
    def _fused(self, x: Tensor) -> Tensor:
        conv = self.conv
        if x.ndim != 4 or x.shape[1] != conv.in_channels:
            raise UsageError(f"input: {list(x.shape)} given; [B, {conv.in_channels}, H, W] allowed")
        x = conv.in_own_type(x)
        plan = conv.plan_for(x)
        count = count_of(self.batch_norm, plan.out_shape)
        if self.has_pool and min(plan.out_shape[2:]) < 2:
            raise UsageError(
                f"input: {list(x.shape)} given, of which pooling would leave nothing; larger "
                "images allowed"
            )
        gamma, beta = parameters(self.batch_norm)
        moments = x.new_empty(2, len(gamma))
        y = apply(
            _Block,
            x,
            conv.values(),
            conv.bias,
            gamma,
            beta,
            plan,
            conv.arithmetic.drawn().compact(),
            Norm(self.batch_norm.eps, self.has_relu),
            self.has_pool,
            moments,
        )
        track(self.batch_norm, moments, count)
        return y

    def _unfused(self, x: Tensor) -> Tensor:
        y: Tensor = self.batch_norm(self.conv(x))
        if self.has_relu:
            y = F.relu(y)
        return F.max_pool2d(y, 2) if self.has_pool else y

    def extra_repr(self) -> str:
        """Return what printing shows."""
        return f"has_relu={self.has_relu}, has_pool={self.has_pool}"


class _Block(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        values: Tensor,
        bias: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        plan: Plan,
        arithmetic: Arithmetic,
        norm: Norm,
        has_pool: bool,
        moments: Tensor,
    ) -> Tensor:
        # What the backward pass needs is taken now: later, it would leave holes in the memory.
        scratch("inputs", plan.x_numbers, x.dtype)
        scratch("outputs", plan.y_numbers, arithmetic.plane_type)
        batch, outputs, height, width = plan.out_shape
        size = (height // 2, width // 2) if has_pool else (height, width)
        y = empty((batch, outputs, *size), x.dtype, batch_innermost=True)
        z = scratch("outputs", plan.product.out_size, x.dtype) if has_pool else memory(y)
        kept, factor = arithmetic.product(x, values, bias, plan, z)
        if factor != 1:
            z.mul_(factor)
        normalized = normalize(z, gamma, beta, norm)
        moments.copy_(normalized.moments)
        place = None
        if has_pool:
            place = pool(z.view(outputs, height, width, batch), y.movedim(0, -1))
        ctx.save_for_backward(kept.inputs, *normalized, values, gamma, beta, place)
        ctx.plan, ctx.arithmetic, ctx.norm, ctx.scales = plan, arithmetic, norm, kept.scales
        ctx.x_shape, ctx.is_batch_innermost = x.shape, is_batch_innermost(x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, codes, constants, values, gamma, beta, place = ctx.saved_tensors
        batch, outputs, height, width = ctx.plan.out_shape
        z_gradient = scratch("inputs", ctx.plan.product.out_size, values.dtype)
        images = z_gradient.view(outputs, height, width, batch)
        if place is None:
            given = in_order_of_planes(ctx.plan.out_layout, y_gradient, z_gradient)
        else:
            spread(y_gradient.movedim(0, -1), place, images)
            given = z_gradient
        normalized = KeptNorm(codes, constants)
        sums = normalize_back(given, z_gradient, gamma, beta, normalized, ctx.norm)
        wants_x, wants_values, wants_bias, *_ = ctx.needs_input_grad
        found = ctx.arithmetic.gradients(
            Kept(inputs, ctx.scales),
            values,
            ctx.plan,
            images.movedim(-1, 0),
            wants_x=wants_x,
            wants_values=wants_values,
        )
        x_gradient = input_gradient(found, ctx.plan, ctx.x_shape, ctx.is_batch_innermost)
        bias = torch.zeros_like(beta) if wants_bias else None  # the batch norm takes it away
        return x_gradient, found.values, bias, *sums, None, None, None, None, None
