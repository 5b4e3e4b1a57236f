"""STE: uniform quantization trained with the straight-through estimator.

Forward, with the codes of the affine grid [quant_min, quant_max] and rounding half up:

    y = s * clamp(floor(x / s + 1/2), quant_min, quant_max)

Backward (Y. Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons, 2013,
arXiv:1308.3432, section 4, with saturation; B. Jacob et al., 2018, arXiv:1712.05877, section 3):

    dL/dx = dL/dy  where quant_min <= floor(x / s + 1/2) <= quant_max,  0 elsewhere

Scales get no gradient. Those of weights follow the weights in each training step, as `weight_range`
says, and are stored for evaluation. Those of inputs and outputs come from ranges observed before
the quantizer starts, and are frozen then; see `start`.

Zero always has the code 0. Weights use the narrow signed range, hence an odd number of levels,
2^b - 1: at 2 bits -s, 0 and s.
"""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from quantlab.algorithms.fused_grid import fused_grid, fused_sharing
from quantlab.algorithms.grid import Grid
from quantlab.algorithms.ranged_config import RangedConfig
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.algorithms.weight_range import WeightRange
from quantlab.autograd import apply
from quantlab.numerics.affine import fake_quantize, fake_quantize_masked, range_scale_zero_point


class _Ste(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        scale: Tensor,
        zero_point: Tensor | None,
        quant_min: int,
        quant_max: int,
    ) -> Tensor:
        y, mask = fake_quantize_masked(
            x, scale, zero_point, quant_min=quant_min, quant_max=quant_max
        )
        ctx.save_for_backward(mask)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (mask,) = ctx.saved_tensors
        return grad * mask, None, None, None, None


def ste(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None,
    *,
    quant_min: int,
    quant_max: int,
    is_rewritten: bool = False,
) -> Tensor:
    """Return `x` on the grid, in its shape and type, with the module's gradient.

    scale, zero_point: broadcast against `x`; None stands for zero. is_rewritten: the scale may be
    written in place before the backward pass.
    """
    sharing = fused_sharing(x, scale)
    if sharing is not None:
        if is_rewritten and torch.is_grad_enabled():
            scale = scale.clone()  # the backward pass reads it
        grid = Grid(quant_min=quant_min, quant_max=quant_max, is_rounded_first=True)
        return fused_grid(x, scale, None, zero_point, grid, sharing)
    if torch.is_grad_enabled() and x.requires_grad:
        return apply(_Ste, x, scale, zero_point, quant_min, quant_max)
    return fake_quantize(x, scale, zero_point, quant_min=quant_min, quant_max=quant_max)


class SteQuantizer(RangedQuantizer):
    """See the module."""

    is_following: ClassVar[bool] = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.register_buffer("scale", torch.ones(self.scale_shape))

    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        scale, zero_point = range_scale_zero_point(
            minimum,
            maximum,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            symmetric=self.spec.symmetric,
        )
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)

    def fake_quantize(self, x: Tensor) -> Tensor:
        zero_point = None if self.spec.symmetric else self.zero_point
        return ste(
            x,
            self.scale,
            zero_point,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            is_rewritten=self.is_observing and self.training,  # by another call of the layer
        )


class SteConfig(RangedConfig):
    """The settings of STE; see `RangedConfig`.

    weight_range: None: max from 4 bits on, mean below, where max would leave most weights at zero.
    observer: None: moving_average.
    """

    kind: Literal["ste"] = "ste"

    @property
    def default_weight_range(self) -> WeightRange:
        return "max" if self.num_bits >= 4 else "mean"

    def new(self, setup: Setup) -> SteQuantizer:
        return SteQuantizer(setup)
