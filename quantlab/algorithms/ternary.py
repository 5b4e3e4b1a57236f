"""TWN: ternary weights by a threshold.

Forward, with D and a over the weights that share a scale:

    D = 0.7 mean|w|,  a = mean of |w| over |w| > D
    y = a sign(w) where |w| > D, 0 elsewhere

Backward (F. Li et al., Ternary Weight Networks, 2016, arXiv:1605.04711, section 2.3):

    dy/dw = 1

D and a follow the weights in each training step, and are stored for evaluation (equations 4 to 6: a
is optimal for the D given, D nearly so for weights that are normally distributed).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.layers import Target, check_weight_only
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.autograd import apply
from quantlab.controller import Controller
from quantlab.numerics.affine import narrow, widen
from quantlab.numerics.granularity import PerAxis, reduced_axes
from quantlab.quantizer import Quantizer, QuantSpec


class _Ternary(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, w: Tensor, threshold: Tensor, scale: Tensor) -> Tensor:
        return ternary_values(w, threshold, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad, None, None


def ternary_codes(w: Tensor, threshold: Tensor) -> Tensor:
    """Return -1, 0 and 1, in float32 or float64; `threshold` broadcasts against `w`."""
    wide = widen(w)
    return (wide > threshold).to(wide.dtype) - (wide < -threshold).to(wide.dtype)


def ternary_values(w: Tensor, threshold: Tensor, scale: Tensor) -> Tensor:
    """Return `w` on the ternary grid, in its type."""
    return narrow(ternary_codes(w, threshold) * scale, w.dtype)


class TernaryQuantizer(Quantizer):
    """See the module. scale: a; threshold: D; both of `scale_shape`."""

    is_following: ClassVar[bool] = True
    threshold: Tensor

    def __init__(self, spec: QuantSpec, shape: Sequence[int], *, threshold_factor: float) -> None:
        super().__init__(spec, shape)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self.register_buffer("threshold", torch.full(self.scale_shape, 0.5))
        self._factor = threshold_factor
        self._reduced_axes = reduced_axes(spec.granularity.split_shape(shape), self.scale_shape)

    def observe(self, x: Tensor) -> None:
        with torch.no_grad():
            sizes = widen(self.split(x)).abs()
            axes, keepdim = self._reduced_axes, bool(self.scale_shape)
            threshold = self._factor * sizes.mean(axes, keepdim=keepdim)
            is_kept = sizes > threshold
            count = is_kept.sum(axes, keepdim=keepdim)
            scale = (sizes * is_kept).sum(axes, keepdim=keepdim) / count.clamp(min=1)
            self.scale.copy_(scale.masked_fill(count == 0, 1.0))
            self.threshold.copy_(threshold.masked_fill(count == 0, 0.5))

    def fake_quantize(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return apply(_Ternary, x, self.threshold, self.scale)
        return ternary_values(x, self.threshold, self.scale)

    def encode(self, x: Tensor) -> Tensor:
        return ternary_codes(x, self.threshold).to(torch.int32)


class TernaryConfig(AlgorithmConfig):
    """The settings of TWN.

    granularity: which weights share a threshold and a scale; None for those of each
        output, per_axis:0 (of transposed convolutions per_axis:1).
    threshold_factor: D over mean|w|.
    start_epoch: float before.
    """

    kind: Literal["twn"] = "twn"
    granularity: GranularityField | None = None
    threshold_factor: float = Field(default=0.7, gt=0.0, lt=1.0)
    start_epoch: int = Field(default=1, ge=0)

    def check(self, on: Target) -> None:
        check_weight_only(self.kind, on)

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        spec = QuantSpec(
            num_bits=2,
            signed=True,
            narrow=True,
            granularity=self.granularity or PerAxis(output_axis),
        )
        shape = tuple(weight.shape)
        quantizer = TernaryQuantizer(spec, shape, threshold_factor=self.threshold_factor)
        quantizer.to(weight.device).observe(weight)
        return quantizer

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return StartController(self.kind, sites, start_epoch=self.start_epoch)
