"""Products of integers of 8 bits, with exact sums."""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quantlab import backend
from quantlab.backend import Int8Plan
from quantlab.errors import UsageError
from quantlab.memory.pages import allocate
from quantlab.sparse.arithmetic.arithmetic import Arithmetic, Gradients, Kept
from quantlab.sparse.batch_innermost import flat, is_batch_innermost
from quantlab.sparse.plan import Plan
from quantlab.sparse.scratch import scratch


@dataclass(frozen=True, kw_only=True)
class Int8(Arithmetic):
    """Inputs, weights and gradients of outputs are quantized in each call; all given is float32.

    With q(t) = round(t / s), half to even, and s = max |t| / 127 (1 for zeros), symmetric:
    y_o = s_x s_o sum_i q(w_i) q(x_i) + b_o, with one scale s_x and a scale s_o of each output's
    kept weights. Backward, g = dL/dy has one scale s_g and stochastic rounding, so that both
    gradients are unbiased, given the quantized x and w:
    dL/dw_i = s_x s_g sum q(g) q(x_i), over all positions, for the kept weights only;
    dL/dx_p = s_p s_g sum q'(w_i) q(g_i), where the weights are quantized again with a scale s_p of
    all that read the plane p: sums are over outputs, so a scale of each output could not be taken
    out of a sum of integers, and one of each plane, a row of this product, has the least error.
    NaN and infinity are refused.

    seed: of the stochastic rounding; each call with a backward pass draws one from torch's default
    generator. In a build with -DSTOCHASTIC_ROUNDING_DISABLED=1, g is rounded half to even too: the
    same in each run, and biased.
    """

    plane_type = torch.uint8

    seed: int = 0

    def product(
        self, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, out: Tensor
    ) -> tuple[Kept, float]:
        if values.dtype != torch.float32:
            raise UsageError(f"weight: {values.dtype} given; float32, to be quantized, allowed")
        planes = allocate(plan.x_numbers, torch.uint8)
        given = flat(x)
        x_scale = _scale(given, "input")
        backend.lay_out_int8(
            plan.x_layout, given, planes.numpy(), x_scale, is_batch_innermost=is_batch_innermost(x)
        )
        weights = _Weights.of(plan.product_int8, values)
        start = None if bias is None else flat(bias)
        factors = weights.scales * np.float32(x_scale)
        backend.sparse_product_int8(
            plan.product_int8, planes.numpy(), weights.codes, factors, start, out.numpy()
        )
        return Kept(planes, (x_scale,)), 1.0

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
        (x_scale,) = kept.scales
        # From torch, whose memory begins with a cache line: else vectors cross into the next one.
        y = scratch("outputs", plan.y_numbers, torch.uint8).numpy()
        given = flat(y_gradient)
        y_scale = _scale(given, "gradient of the output")
        backend.lay_out_int8(
            plan.y_layout,
            given,
            y,
            y_scale,
            is_batch_innermost=is_batch_innermost(y_gradient),
            seed=self.seed,
        )
        x_planes = _input_gradient(plan, values, y, y_scale) if wants_x else None
        gradients = None
        if wants_values:
            gradients = torch.empty_like(values)
            backend.sparse_gradient_int8(
                plan.gradient, kept.inputs.numpy(), y, x_scale * y_scale, gradients.numpy()
            )
        return Gradients(x_planes, 1.0, gradients)

    def drawn(self) -> Self:
        return replace(self, seed=int(torch.randint(2**63 - 1, ())))


def _input_gradient(plan: Plan, values: Tensor, y: NDArray[np.uint8], y_scale: float) -> Tensor:
    weights = _Weights.of(plan.gradient_int8, values)
    x_planes = scratch("inputs", plan.x_numbers, torch.float32)
    factors = weights.scales * np.float32(y_scale)
    backend.sparse_product_int8(
        plan.gradient_int8, y, weights.codes, factors, None, x_planes.numpy()
    )
    return x_planes


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
