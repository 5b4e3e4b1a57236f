"""A sparse layer's output and gradients from integers of 8 bits."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply, uncompiled
from quantlab.backend import Int8Plan
from quantlab.errors import UsageError
from quantlab.sparse.functional import flat
from quantlab.sparse.plan import Plan


@uncompiled
def sparse_product_int8(x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """Return a sparse layer's output, `plan.out_shape`, computed from int8.

    x: of the plan's shape; values `[nnz]` in the order of its pattern; bias `[O]`; all float32.
    Raises UsageError where x, values or the outputs' gradient have NaN or infinity.

    With q(t) = round(t / s), half to even, and s = max |t| / 127 (1 for zeros), symmetric:
    y_o = s_x s_o sum_i q(w_i) q(x_i) + b_o, with one scale s_x and a scale s_o of each output's
    kept weights. Backward, g = dL/dy has one scale s_g and stochastic rounding, so that both
    gradients are unbiased, given the quantized x and w:
    dL/dw_i = s_x s_g sum q(g) q(x_i), over all positions, for the kept weights only;
    dL/dx_p = s_p s_g sum q'(w_i) q(g_i), where the weights are quantized again with a scale s_p of
    all that read the plane p: sums are over outputs, so a scale of each output could not be taken
    out of a sum of integers, and one of each plane, a row of this product, has the least error.
    dL/db = the sum of g itself. Sums of integers are exact. The seed of the rounding is drawn from
    torch's default generator in the forward pass, if there is to be a backward pass.
    """
    needs_seed = torch.is_grad_enabled() and (x.requires_grad or values.requires_grad)
    seed = int(torch.randint(2**63 - 1, ())) if needs_seed else 0
    return apply(_SparseProductInt8, x, values, bias, plan, seed)


class _SparseProductInt8(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, seed: int
    ) -> Tensor:
        planes = torch.empty(plan.x_numbers, dtype=torch.uint8)
        given = flat(x)
        x_scale = _scale(given, "input")
        backend.lay_out_int8(plan.x_layout, given, planes.numpy(), x_scale)
        weights = _Weights.of(plan.product_int8, values)
        made = x.new_empty(plan.product.out_size)
        start = None if bias is None else flat(bias)
        factors = weights.scales * np.float32(x_scale)
        backend.sparse_product_int8(
            plan.product_int8, planes.numpy(), weights.codes, factors, start, made.numpy()
        )
        y = x.new_empty(plan.out_shape)
        backend.collect(plan.out_layout, flat(y), made.numpy())
        ctx.save_for_backward(planes, values)
        ctx.plan, ctx.x_shape, ctx.x_scale, ctx.seed = plan, x.shape, x_scale, seed
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        planes, values = ctx.saved_tensors
        plan: Plan = ctx.plan
        wants_x, wants_values, wants_bias, _, _ = ctx.needs_input_grad
        y = np.empty(plan.y_numbers, np.uint8)
        given = flat(y_gradient)
        y_scale = _scale(given, "gradient of the output")
        backend.lay_out_int8(plan.y_layout, given, y, y_scale, seed=ctx.seed)
        x_gradient = _input_gradient(plan, values, y, y_scale, ctx.x_shape) if wants_x else None
        gradients = None
        if wants_values:
            gradients = torch.empty_like(values)
            factor = ctx.x_scale * y_scale
            backend.sparse_gradient_int8(
                plan.gradient, planes.numpy(), y, factor, gradients.numpy()
            )
        bias = y_gradient.sum([0, *range(2, y_gradient.ndim)]) if wants_bias else None
        return x_gradient, gradients, bias, None, None


def _input_gradient(
    plan: Plan, values: Tensor, y: NDArray[np.uint8], y_scale: float, x_shape: torch.Size
) -> Tensor:
    weights = _Weights.of(plan.gradient_int8, values)
    made = values.new_empty(plan.x_numbers)
    factors = weights.scales * np.float32(y_scale)
    backend.sparse_product_int8(plan.gradient_int8, y, weights.codes, factors, None, made.numpy())
    x_gradient = values.new_empty(x_shape)
    backend.collect(plan.x_layout, flat(x_gradient), made.numpy())
    return x_gradient


@dataclass(frozen=True, kw_only=True, eq=False)
class _Weights:
    """codes: int8, as a plan's connections lie; scales: of each of its rows."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    @classmethod
    def of(cls, plan: Int8Plan, values: Tensor) -> "_Weights":
        """Return the quantized weights. Raises UsageError."""
        codes = np.empty(plan.num_weights, np.int8)
        scales = np.empty(plan.num_rows, np.float32)
        backend.quantize_rows(plan, flat(values), codes, scales)
        if not np.isfinite(scales).all():
            raise UsageError("weight: has NaN or infinity; finite numbers allowed")
        return cls(codes=codes, scales=scales)


def _scale(numbers: NDArray[np.float32], name: str) -> float:
    """Return the step between codes, of float32: 1 if all are zeros. Raises UsageError."""
    absmax = backend.absmax(numbers)
    if not math.isfinite(absmax):
        raise UsageError(f"{name}: has NaN or infinity; finite numbers allowed")
    return float(np.float32(absmax) / np.float32(127)) or 1.0
