"""A sparse layer's output and gradients, on the kernels."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab.autograd import apply, uncompiled
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Gradients, Kept
from quantlab.sparse.batch_innermost import empty, is_batch_innermost, memory
from quantlab.sparse.layouts import collect
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


@uncompiled
def sparse_product(
    x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, arithmetic: Arithmetic
) -> Tensor:
    """Return a sparse layer's output, `plan.out_shape`; its batch is innermost if that of x is.

    x: of the plan's shape; values `[nnz]` in the order of its pattern; bias `[O]`; of one type.
    dL/db = the sum of dL/dy over all positions. Raises UsageError for numbers that the arithmetic
    does not take.
    """
    if torch.is_grad_enabled() and (x.requires_grad or values.requires_grad):
        arithmetic = arithmetic.drawn()
    return apply(_SparseProduct, x, values, bias, plan, arithmetic)


class _SparseProduct(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        values: Tensor,
        bias: Tensor | None,
        plan: Plan,
        arithmetic: Arithmetic,
    ) -> Tensor:
        y = empty(plan.out_shape, x.dtype, batch_innermost=is_batch_innermost(x))
        is_made_there = is_batch_innermost(y)
        out = memory(y) if is_made_there else scratch("outputs", y.numel(), y.dtype)
        kept, factor = arithmetic.product(x, values, bias, plan, out)
        if not is_made_there:
            collect(plan.out_layout, out, y, factor)
        elif factor != 1:
            out.mul_(factor)
        ctx.save_for_backward(kept.inputs, values)
        ctx.plan, ctx.arithmetic, ctx.scales = plan, arithmetic, kept.scales
        ctx.x_shape, ctx.is_batch_innermost = x.shape, is_batch_innermost(x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, values = ctx.saved_tensors
        wants_x, wants_values, wants_bias, *_ = ctx.needs_input_grad
        found = ctx.arithmetic.gradients(
            Kept(inputs, ctx.scales),
            values,
            ctx.plan,
            y_gradient,
            wants_x=wants_x,
            wants_values=wants_values,
        )
        x_gradient = input_gradient(found, ctx.plan, ctx.x_shape, ctx.is_batch_innermost)
        bias = y_gradient.sum([0, *range(2, y_gradient.ndim)]) if wants_bias else None
        return x_gradient, found.values, bias, None, None


def input_gradient(
    found: Gradients, plan: Plan, shape: tuple[int, ...], batch_innermost: bool
) -> Tensor | None:
    """Return the gradient of an input, `[B, ...]`, out of its planes."""
    if found.x_planes is None:
        return None
    x_gradient = empty(shape, found.x_planes.dtype, batch_innermost=batch_innermost)
    collect(plan.x_layout, found.x_planes, x_gradient, found.factor)
    return x_gradient
