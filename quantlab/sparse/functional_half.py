"""A sparse layer's output and gradients from planes of 16-bit floats."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply, uncompiled
from quantlab.errors import UsageError
from quantlab.sparse.functional import flat
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch

# The largest numbers lie below 2^bits: the kernels may add products up in 16 bits, below 2^16.
_PLANE_BITS, _VALUE_BITS = 6, 4
# Of factors; those of inputs and values also scale the bias, which must not overflow.
_MOST_BITS, _MOST_GRADIENT_BITS = 48, 100


@uncompiled
def sparse_product_half(x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """Return a sparse layer's output, `plan.out_shape`, from inputs that are kept in 16 bits.

    x: of the plan's shape; values `[nnz]` in the order of its pattern; bias `[O]`; all float32.
    Raises UsageError for other values.
    With h(t) = t rounded to float16, and powers of two f_x, f_g that bring the largest number near
    2^6: y = sum_i w_i h(f_x x_i) / f_x + b; with g = dL/dy, dL/dx_i = sum w_i h(f_g g) / f_g and
    dL/dw_i = sum over all positions of h(f_g g) h(f_x x_i) / (f_g f_x), for the kept weights only;
    dL/db = the sum of g itself. Sums are float32, or of the instruction set `avx512fp16` float16
    for at most 32 products each, with w rounded too.
    """
    if values.dtype != torch.float32:
        raise UsageError(f"weight: {values.dtype} given; float32 allowed")
    return apply(_SparseProductHalf, x, values, bias, plan)


class _SparseProductHalf(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
        planes = torch.empty(plan.x_numbers, dtype=torch.float16)
        x_factor = _factor(x, _PLANE_BITS, _MOST_BITS)
        backend.lay_out(plan.x_layout, flat(x), planes.numpy(), factor=x_factor)
        factor = _factor(values, _VALUE_BITS, _MOST_BITS)
        start = None if bias is None else flat(bias * (factor * x_factor))
        made = scratch("outputs", plan.product.out_size, values.dtype)
        backend.sparse_product(
            plan.product, planes.numpy(), flat(values * factor), start, made.numpy()
        )
        y = values.new_empty(plan.out_shape)
        backend.collect(plan.out_layout, flat(y), made.numpy(), factor=_inverse(factor * x_factor))
        ctx.save_for_backward(planes, values)
        ctx.plan, ctx.x_shape, ctx.x_factor, ctx.factor = plan, x.shape, x_factor, factor
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        planes, values = ctx.saved_tensors
        plan: Plan = ctx.plan
        wants_x, wants_values, wants_bias, _ = ctx.needs_input_grad
        y = scratch("output gradients", plan.y_numbers, torch.float16)
        y_factor = _factor(y_gradient, _PLANE_BITS, _MOST_GRADIENT_BITS)
        backend.lay_out(plan.y_layout, flat(y_gradient), y.numpy(), factor=y_factor)
        x_planes = scratch("input gradients", len(planes), values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            planes.numpy(),
            y.numpy(),
            flat(values * ctx.factor),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        x_gradient = None
        if x_planes is not None:
            x_gradient = values.new_empty(ctx.x_shape)
            inverse = _inverse(ctx.factor * y_factor)
            backend.collect(plan.x_layout, flat(x_gradient), x_planes.numpy(), factor=inverse)
        if gradients is not None:
            gradients.mul_(_inverse(ctx.x_factor * y_factor))
        bias = None
        if wants_bias:
            bias = y_gradient.sum([0, *range(2, y_gradient.ndim)])
        return x_gradient, gradients, bias, None


def _factor(x: Tensor, num_bits: int, most_bits: int) -> float:
    """Return the power of two, at most 2^most_bits, that brings the largest of the finite numbers
    within [2^(num_bits - 1), 2^num_bits): 1 for zeros."""
    if x.numel() == 0:
        return 1.0
    low, high = torch.aminmax(x.detach())
    largest = max(-low.item(), high.item())
    if not math.isfinite(largest):
        return _factor(x[x.isfinite()], num_bits, most_bits)
    if largest == 0:
        return 1.0
    _, exponent = math.frexp(largest)
    return math.ldexp(1.0, min(num_bits - exponent, most_bits))


def _inverse(factor: float) -> float:
    """Return 1 / factor, or the largest power of two that float32 has."""
    return min(1 / factor, 2.0**127)
