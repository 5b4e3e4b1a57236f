"""Products of 16-bit floats."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from quantlab import backend
from quantlab.errors import UsageError
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Gradients, Kept
from quantlab.sparse.batch_innermost import flat, is_batch_innermost, memory
from quantlab.sparse.compact import compact_planes, restore_planes
from quantlab.sparse.layouts import lay_out
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch

# The largest numbers lie below 2^bits: the kernels may add products up in 16 bits, below 2^16.
_PLANE_BITS, _VALUE_BITS = 6, 4
# Of factors; those of inputs and values also scale the bias, which must not overflow.
_MOST_BITS, _MOST_GRADIENT_BITS = 48, 100


@dataclass(frozen=True, kw_only=True)
class Half(Arithmetic):
    """Inputs are kept in 16 bits; parameters and results are float32.

    With h(t) = t rounded to float16, and powers of two f_x, f_g that bring the largest number near
    2^6: y = sum_i w_i h(f_x x_i) / f_x + b; with g = dL/dy, dL/dx_i = sum w_i h(f_g g) / f_g and
    dL/dw_i = sum over all positions of h(f_g g) h(f_x x_i) / (f_g f_x), for the kept weights only.
    Sums are float32, or of the instruction set `avx512fp16` float16 for at most 32 products each,
    with w rounded too.

    is_compact: inputs wait for the backward pass in eight bits.
    """

    plane_type = torch.float16

    is_compact: bool = False

    def product(
        self, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, out: Tensor
    ) -> tuple[Kept, float]:
        if values.dtype != torch.float32:
            raise UsageError(f"weight: {values.dtype} given; float32 allowed")
        planes = (
            scratch("planes", plan.x_numbers, torch.float16)
            if self.is_compact
            else torch.empty(plan.x_numbers, dtype=torch.float16)
        )
        x_factor = _factor(x, _PLANE_BITS, _MOST_BITS)
        lay_out(plan.x_layout, x, planes, x_factor)
        factor = _factor(values, _VALUE_BITS, _MOST_BITS)
        start = None if bias is None else flat(bias * (factor * x_factor))
        backend.sparse_product(
            plan.product, planes.numpy(), flat(values * factor), start, out.numpy()
        )
        inputs: Tensor = planes
        ends: tuple[float, ...] = ()
        if self.is_compact:
            inputs, ends = compact_planes(x, planes, plan, x_factor)
        return Kept(inputs, (factor, x_factor, *ends)), _inverse(factor * x_factor)

    def gradients(
        self,
        kept: Kept,
        values: Tensor,
        plan: Plan,
        y_gradient: Tensor,
        *,
        wants_x: bool,
        wants_values: bool,
    ) -> Gradients:
        factor, x_factor, *ends = kept.scales
        y = scratch("outputs", plan.y_numbers, torch.float16)
        y_factor = _factor(y_gradient, _PLANE_BITS, _MOST_GRADIENT_BITS)
        lay_out(plan.y_layout, y_gradient, y, y_factor)
        x = kept.inputs
        if self.is_compact:
            x = scratch("planes", plan.x_numbers, torch.float16)
            restore_planes(kept.inputs, tuple(ends), plan, x, x_factor)
        x_planes = scratch("inputs", plan.x_numbers, values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            x.numpy(),
            y.numpy(),
            flat(values * factor),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        if gradients is not None:
            gradients.mul_(_inverse(x_factor * y_factor))
        return Gradients(x_planes, _inverse(factor * y_factor), gradients)

    def compact(self) -> Arithmetic:
        return replace(self, is_compact=True)


def _factor(x: Tensor, num_bits: int, most_bits: int) -> float:
    """Return the power of two, at most 2^most_bits, that brings the largest of the finite numbers
    within [2^(num_bits - 1), 2^num_bits): 1 for zeros."""
    if x.numel() == 0:
        return 1.0
    low, high = torch.aminmax(memory(x) if is_batch_innermost(x) else x.detach())
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
