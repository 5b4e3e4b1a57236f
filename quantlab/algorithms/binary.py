"""Binary networks: weights and inputs of one bit, -1 and 1 times a scale; zero is no level.

Forward, with sign(0) = 1 and a over the weights that share a scale:

    weights            y = a sign(w),  a = mean|w|
    inputs, outputs    y = sign(x)

(M. Rastegari et al., XNOR-Net, 2016, arXiv:1603.05279, equation 6.) Backward, as `gradient` says:

    straight    dy/dv = 1 where |v| <= 1, 0 elsewhere (I. Hubara et al., 2016, arXiv:1602.02830,
                section 1.3)
    xnor        weights: dy/dw = 1 / n + a where |w| <= 1, 1 / n elsewhere, n weights sharing a
                (XNOR-Net, section 3.1)
    bireal      inputs, outputs: dy/dx = 2 - 2|x| where |x| < 1, 0 elsewhere (Z. Liu et al., Bi-Real
                Net, 2018, arXiv:1808.00278, equation 7)

The scale follows the weights in each training step. After a ReLU all inputs would be 1: for these,
LSQ with num_bits 1 and signed false has the levels 0 and s.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function

from quantlab.algorithms.algorithm import AlgorithmConfig, GranularityField
from quantlab.algorithms.layers import Target
from quantlab.algorithms.site import Site
from quantlab.algorithms.start import StartController
from quantlab.autograd import apply
from quantlab.controller import Controller
from quantlab.errors import UsageError
from quantlab.numerics.affine import narrow, widen
from quantlab.numerics.granularity import PerAxis, PerTensor, reduced_axes
from quantlab.quantizer import Quantizer, QuantSpec

BinaryGradient = Literal["straight", "xnor", "bireal"]


class _Binary(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, gradient: BinaryGradient, num_sharing: int
    ) -> Tensor:
        # Not the buffer itself: a second call of the layer observes, and writes it.
        ctx.save_for_backward(x, *([scale.clone()] if gradient == "xnor" else []))
        ctx.gradient = gradient
        ctx.num_sharing = num_sharing
        return binary_values(x, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        x, *scale = ctx.saved_tensors
        sizes = widen(x).abs()
        if ctx.gradient == "bireal":
            slope = (2.0 - 2.0 * sizes).clamp(min=0.0)
        elif ctx.gradient == "xnor":
            slope = 1.0 / ctx.num_sharing + scale[0] * (sizes <= 1.0)
        else:
            slope = (sizes <= 1.0).to(sizes.dtype)
        return (grad * slope).to(x.dtype), None, None, None


def binary_codes(x: Tensor) -> Tensor:
    """Return -1 and 1, in float32 or float64."""
    wide = widen(x)
    return (wide >= 0).to(wide.dtype).mul_(2.0).sub_(1.0)


def binary_values(x: Tensor, scale: Tensor) -> Tensor:
    """Return `x` on the binary grid, in its type."""
    return narrow(binary_codes(x) * scale, x.dtype)


class BinaryQuantizer(Quantizer):
    """See the module. scale: a of weights, 1 of inputs and outputs.

    shape: of the weight; None for inputs and outputs.
    """

    is_following: ClassVar[bool] = True

    def __init__(
        self, spec: QuantSpec, shape: Sequence[int] | None, *, gradient: BinaryGradient
    ) -> None:
        super().__init__(spec, shape or ())
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self._gradient: BinaryGradient = gradient
        self._is_weight = shape is not None
        self._num_sharing = math.prod(shape or ()) // self.scale.numel()
        split = spec.granularity.split_shape(shape or ())
        self._reduced_axes = reduced_axes(split, self.scale_shape)

    def observe(self, x: Tensor) -> None:
        if self._is_weight:
            with torch.no_grad():
                sizes = widen(self.split(x)).abs()
                mean = sizes.mean(self._reduced_axes, keepdim=bool(self.scale_shape))
                self.scale.copy_(mean.masked_fill(mean == 0, 1.0))

    def fake_quantize(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            return apply(_Binary, x, self.scale, self._gradient, self._num_sharing)
        return binary_values(x, self.scale)

    def encode(self, x: Tensor) -> Tensor:
        return binary_codes(x).to(torch.int32)


class BinaryConfig(AlgorithmConfig):
    """The settings of binary weights, inputs and outputs.

    gradient: see the module; None: straight for weights, bireal for inputs and outputs.
    granularity: which weights share a scale; None for those of each output, per_axis:0 (of
        transposed convolutions per_axis:1).
    start_epoch: float before.
    """

    kind: Literal["binary"] = "binary"
    gradient: BinaryGradient | None = None
    granularity: GranularityField | None = None
    start_epoch: int = Field(default=1, ge=0)

    def check(self, on: Target) -> None:
        allowed = ("straight", "xnor") if on == "weight" else ("straight", "bireal")
        if self.gradient is not None and self.gradient not in allowed:
            raise UsageError(
                f"gradient: '{self.gradient}' given for a tensor that is {on}, "
                f"{' or '.join(allowed)} allowed"
            )
        if on != "weight" and self.granularity is not None:
            raise UsageError(f"granularity: '{self.granularity}' has no effect on an {on}")

    def quantizer(self, on: Target, weight: Tensor, *, output_axis: int = 0) -> Quantizer:
        is_weight = on == "weight"
        granularity = (self.granularity or PerAxis(output_axis)) if is_weight else PerTensor()
        spec = QuantSpec(num_bits=1, signed=True, granularity=granularity, levels=(-1, 1))
        quantizer = BinaryQuantizer(
            spec,
            tuple(weight.shape) if is_weight else None,
            gradient=self.gradient or ("straight" if is_weight else "bireal"),
        )
        quantizer.to(weight.device).observe(weight)
        return quantizer

    def controller(self, sites: Sequence[Site[Quantizer]]) -> Controller:
        return StartController(self.kind, sites, start_epoch=self.start_epoch)
