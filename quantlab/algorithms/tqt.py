"""TQT: scales are powers of two, and the threshold is learned as a logarithm.

Forward, with the threshold t, num_bits b and rounding half up:

    s = 2^ceil(log2 t) / 2^(b - 1) if signed, 2^ceil(log2 t) / 2^b if not
    y = s * floor(clamp(x / s, quant_min, quant_max) + 1/2)

Backward (S. Jain et al., Trained Quantization Thresholds, 2020, arXiv:1903.08066, equations 6 to 8,
ceil passing gradients on):

    dy/dx = 1 inside the range, 0 elsewhere
    dy/d log2 t = s ln 2 * (floor(x / s + 1/2) - x / s inside, quant_min below, quant_max above)

summed over what shares t. The paper trains thresholds by Adam, which does not mind the gradient's
size; with other optimizers it grows with s^2 and the size of the tensor. So by default,
`gradient: relative`, it is multiplied by 1 / (s^2 sqrt(N quant_max)), with N as in LSQ: a step then
changes t by as large a share as LSQ's would. `gradient: plain` is the paper's.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function

from quantlab.algorithms.learned_grid import learned_grid
from quantlab.algorithms.ranged_config import RangedConfig
from quantlab.algorithms.ranged_quantizer import RangedQuantizer, Setup
from quantlab.autograd import apply
from quantlab.numerics.powers import power_of_two

GradientKind = Literal["relative", "plain"]


class _Scale(Function):
    @staticmethod
    def forward(ctx: Any, log2_threshold: Tensor, num_halvings: int, is_relative: bool) -> Tensor:
        scale = threshold_scale(log2_threshold, num_halvings)
        ctx.save_for_backward(scale)
        ctx.is_relative = is_relative
        return scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        slope = math.log(2.0) * (1.0 / scale if ctx.is_relative else scale)
        return grad * slope, None, None


def threshold_scale(log2_threshold: Tensor, num_halvings: int) -> Tensor:
    """Return 2^(ceil(log2 t) - num_halvings), in the shape and type of `log2_threshold`."""
    return power_of_two(log2_threshold.ceil() - num_halvings).to(log2_threshold.dtype)


class TqtQuantizer(RangedQuantizer):
    """See the module. log2_threshold: learned, of `scale_shape`."""

    def __init__(self, setup: Setup, *, gradient: GradientKind) -> None:
        super().__init__(setup)
        self.log2_threshold = nn.Parameter(torch.zeros(self.scale_shape))
        self._is_relative = gradient == "relative"

    @property
    def scale(self) -> Tensor:
        num_halvings = self.spec.num_bits - self.spec.signed
        if torch.is_grad_enabled() and self.log2_threshold.requires_grad:
            return apply(_Scale, self.log2_threshold, num_halvings, self._is_relative)
        return threshold_scale(self.log2_threshold.detach(), num_halvings)

    def take_range(self, minimum: Tensor, maximum: Tensor) -> None:
        threshold = torch.maximum(maximum, -minimum)
        tiny = torch.finfo(torch.float32).tiny
        self.log2_threshold.copy_(torch.where(threshold < tiny, 1.0, threshold).log2())

    def fake_quantize(self, x: Tensor) -> Tensor:
        gradient_scale = 1.0
        if self._is_relative:
            num_sets = x.shape[0] if self.observer is not None else self.log2_threshold.numel()
            gradient_scale = float((x.numel() / num_sets * self.quant_max) ** -0.5)
        return learned_grid(
            x,
            self.scale,
            quant_min=self.quant_min,
            quant_max=self.quant_max,
            gradient_scale=gradient_scale,
        )


class TqtConfig(RangedConfig):
    """The settings of TQT; see `RangedConfig`.

    gradient: of the threshold, see the module.
    weight_range: where thresholds start; None: max.
    observer: None: mse.
    """

    kind: Literal["tqt"] = "tqt"
    gradient: GradientKind = "relative"
    symmetric: Literal[True] = True  # the papers' scales have no zero point

    @property
    def is_narrow(self) -> bool:
        return False

    @property
    def default_observer(self) -> Literal["mse"]:
        return "mse"

    def new(self, setup: Setup) -> TqtQuantizer:
        return TqtQuantizer(setup, gradient=self.gradient)
