"""What products of floats have in common: numbers times factors on their way into the kernels."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from quantlab import backend
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Gradients, Kept
from quantlab.sparse.batch_innermost import flat
from quantlab.sparse.compact import compact_planes, restore_planes
from quantlab.sparse.layouts import lay_out
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch

_LARGEST = 2.0**127  # power of two of float32


@dataclass(frozen=True, kw_only=True)
class Floats(Arithmetic):
    """y = sum_i w_i x_i + b; dL/dw_i = sum over all positions of dL/dy x_i, for the kept weights
    only.

    is_compact: inputs, of float32, wait for the backward pass in eight bits.
    """

    is_compact: bool = False

    @abstractmethod
    def plane_type_of(self, values: Tensor) -> torch.dtype:
        """Return the type of planes for a layer's weights. Raises UsageError for weights that the
        arithmetic does not take."""

    @abstractmethod
    def factor_of_inputs(self, x: Tensor) -> float:
        """Return what inputs are multiplied with, a power of two."""

    @abstractmethod
    def factor_of_gradients(self, y_gradient: Tensor) -> float:
        """Return what gradients of outputs are multiplied with, a power of two."""

    @abstractmethod
    def factor_of_values(self, values: Tensor) -> float:
        """Return what weights are multiplied with, a power of two."""

    def product(
        self, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, out: Tensor
    ) -> tuple[Kept, float]:
        dtype = self.plane_type_of(values)
        planes = (
            scratch("planes", plan.x_numbers, dtype)
            if self.is_compact
            else torch.empty(plan.x_numbers, dtype=dtype)
        )
        x_factor, factor = self.factor_of_inputs(x), self.factor_of_values(values)
        lay_out(plan.x_layout, x, planes, x_factor)
        start = None if bias is None else flat(_times(bias, factor * x_factor))
        backend.sparse_product(
            plan.product, planes.numpy(), flat(_times(values, factor)), start, out.numpy()
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
        dtype = self.plane_type_of(values)
        y = scratch("outputs", plan.y_numbers, dtype)
        y_factor = self.factor_of_gradients(y_gradient)
        lay_out(plan.y_layout, y_gradient, y, y_factor)
        x = kept.inputs
        if self.is_compact:
            x = scratch("planes", plan.x_numbers, dtype)
            restore_planes(kept.inputs, tuple(ends), plan, x, x_factor)
        x_planes = scratch("inputs", plan.x_numbers, values.dtype) if wants_x else None
        gradients = torch.zeros_like(values) if wants_values else None
        backend.sparse_gradient(
            plan.gradient,
            x.numpy(),
            y.numpy(),
            flat(_times(values, factor)),
            None if x_planes is None else x_planes.numpy(),
            None if gradients is None else gradients.numpy(),
        )
        if gradients is not None:
            gradients = _times(gradients, _inverse(x_factor * y_factor))
        return Gradients(x_planes, _inverse(factor * y_factor), gradients)

    def compact(self) -> Self:
        return replace(self, is_compact=True)


def _times(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor


def _inverse(factor: float) -> float:
    """Return 1 / factor, or the largest power of two that float32 has."""
    return min(1 / factor, _LARGEST)
