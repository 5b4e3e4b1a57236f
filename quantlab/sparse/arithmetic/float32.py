"""Products of floats as they are: float32, or float64 on the scalar path."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from quantlab import backend
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Gradients, Kept
from quantlab.sparse.batch_innermost import flat
from quantlab.sparse.compact import compact_planes, restore_planes
from quantlab.sparse.layouts import lay_out
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


@dataclass(frozen=True, kw_only=True)
class Float(Arithmetic):
    """y = sum_i w_i x_i + b; dL/dw_i = sum over all positions of dL/dy x_i, for the kept weights
    only.

    is_compact: inputs, of float32, wait for the backward pass in eight bits.
    """

    plane_type = torch.float32

    is_compact: bool = False

    def product(
        self, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, out: Tensor
    ) -> tuple[Kept, float]:
        planes = (
            scratch("planes", plan.x_numbers, x.dtype)
            if self.is_compact
            else x.new_empty(plan.x_numbers)
        )
        lay_out(plan.x_layout, x, planes)
        start = None if bias is None else flat(bias)
        backend.sparse_product(plan.product, planes.numpy(), flat(values), start, out.numpy())
        kept = Kept(*compact_planes(x, planes, plan)) if self.is_compact else Kept(planes)
        return kept, 1.0

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
        y = scratch("outputs", plan.y_numbers, values.dtype)
        lay_out(plan.y_layout, y_gradient, y)
        x = kept.inputs
        if self.is_compact:
            x = scratch("planes", plan.x_numbers, values.dtype)
            restore_planes(kept.inputs, kept.scales, plan, x)
        x_planes = scratch("inputs", plan.x_numbers, values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            x.numpy(),
            y.numpy(),
            flat(values),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        return Gradients(x_planes, 1.0, gradients)

    def compact(self) -> Arithmetic:
        return replace(self, is_compact=True)
