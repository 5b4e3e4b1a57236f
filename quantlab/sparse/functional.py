"""A sparse layer's output and gradients, on the kernels."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply, uncompiled
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


@uncompiled
def sparse_product(x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """Return a sparse layer's output, `plan.out_shape`.

    x: of the plan's shape; values `[nnz]` in the order of its pattern; bias `[O]`; all of one type,
    float32, or float64 on the scalar path.
    y = sum_i w_i x_i + b; dL/dw_i = sum over all positions of dL/dy x_i, for the kept weights only.
    """
    return apply(_SparseProduct, x, values, bias, plan)


class _SparseProduct(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
        planes = x.new_empty(plan.x_numbers)
        backend.lay_out(plan.x_layout, flat(x), planes.numpy())
        made = scratch("outputs", plan.product.out_size, x.dtype)
        start = None if bias is None else flat(bias)
        backend.sparse_product(plan.product, planes.numpy(), flat(values), start, made.numpy())
        y = x.new_empty(plan.out_shape)
        backend.collect(plan.out_layout, flat(y), made.numpy())
        ctx.save_for_backward(planes, values)
        ctx.plan, ctx.x_shape = plan, x.shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        planes, values = ctx.saved_tensors
        plan: Plan = ctx.plan
        wants_x, wants_values, wants_bias, _ = ctx.needs_input_grad
        y = scratch("outputs", plan.y_numbers, values.dtype)
        backend.lay_out(plan.y_layout, flat(y_gradient), y.numpy())
        x_planes = scratch("inputs", len(planes), values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            planes.numpy(),
            y.numpy(),
            values.numpy(),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        x_gradient = None
        if x_planes is not None:
            x_gradient = values.new_empty(ctx.x_shape)
            backend.collect(plan.x_layout, flat(x_gradient), x_planes.numpy())
        bias = None
        if wants_bias:
            bias = y_gradient.sum([0, *range(2, y_gradient.ndim)])
        return x_gradient, gradients, bias, None


def flat(x: Tensor) -> Any:
    """Return a tensor's numbers in their order; they are copied only if they have gaps."""
    return x.detach().contiguous().reshape(-1).numpy()
