"""A sparse linear layer's output and gradients for few samples, which are not laid out."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply, uncompiled
from quantlab.backend import GatherPlan
from quantlab.sparse.batch_innermost import flat


@uncompiled
def gather_product(x: Tensor, values: Tensor, bias: Tensor | None, plan: GatherPlan) -> Tensor:
    """Return a sparse linear layer's output `[B, O]`.

    x: `[B, C]`; values `[nnz]` in the order of its pattern; bias `[O]`; all of one type, float32,
    or float64 on the scalar path.
    y = sum_i w_i x_i + b; dL/dw_i = sum over all samples of dL/dy x_i, for the kept weights only.
    """
    return apply(_GatherProduct, x.contiguous(), values, bias, plan)


class _GatherProduct(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, plan: GatherPlan
    ) -> Tensor:
        y = x.new_empty(len(x), plan.num_rows)
        start = None if bias is None else flat(bias)
        backend.gather_product(plan, flat(x), flat(values), start, flat(y))
        ctx.save_for_backward(x, values)
        ctx.plan = plan
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, values = ctx.saved_tensors
        wants_x, wants_values, wants_bias, _ = ctx.needs_input_grad
        x_gradient = x.new_empty(x.shape) if wants_x else None
        gradients = torch.empty_like(values) if wants_values else None
        backend.gather_gradient(
            ctx.plan,
            flat(x),
            flat(y_gradient.contiguous()),
            flat(values),
            None if x_gradient is None else flat(x_gradient),
            None if gradients is None else flat(gradients),
        )
        return x_gradient, gradients, y_gradient.sum(0) if wants_bias else None, None
