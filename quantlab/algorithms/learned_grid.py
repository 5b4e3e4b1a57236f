"""The gradient of a grid's scale and offset, which LSQ, PACT and TQT share.

Forward, with the codes [quant_min, quant_max], the zero point z and rounding half up:

    v = x / s,  lo = quant_min - z,  hi = quant_max - z
    y = s * floor(clamp(v, lo, hi) + 1/2)

Backward, with `inside` where lo <= v <= hi (S. Esser et al., Learned Step Size Quantization, 2020,
arXiv:1902.08153, equations 3 and 5, which at the two ends themselves, lo and hi, leave it open):

                      inside                below     above
    dy/dx             1                     0         0
    dy/ds             floor(v + 1/2) - v    lo        hi            without an offset
                      floor(v + 1/2) - v    0         hi - lo       with one
    dy/d offset       0                     1         1

Where `is_clip_only`, dy/ds is 0 inside: then only clipping moves the range, as in PACT. With an
offset, z stands for quant_min - offset / s rounded, through which dy/ds changes as shown
(Y. Bhalgat et al., LSQ+, 2020, arXiv:2004.09576, equations 5 and 6): zero keeps a code of its own,
and the scale and offset get the gradients of the grid that is not rounded to it.

Gradients are summed over all numbers that share the scale and multiplied by `gradient_scale`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from quantlab.autograd import apply
from quantlab.numerics.affine import fake_quantize, narrow, widen


class _LearnedGrid(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        offset: Tensor | None,
        zero_point: Tensor | None,
        quant_min: int,
        quant_max: int,
        gradient_scale: float,
        is_clip_only: bool,
    ) -> Tensor:
        v = widen(x) / scale
        low: Tensor | int = quant_min
        if zero_point is None:
            clamped = v.clamp(quant_min, quant_max)
        else:
            low = quant_min - zero_point
            clamped = v.clamp(low, quant_max - zero_point)
        # Ones and zeros as float: a bool tensor costs 25 times more to multiply with on a CPU.
        inside = v.eq_(clamped)
        rounded = (clamped + 0.5).floor_()
        y = rounded * scale
        per_step = rounded if offset is None else rounded - low
        slope = torch.addcmul(per_step, per_step if is_clip_only else clamped, inside, value=-1)
        if offset is not None and not is_clip_only:
            slope += inside * low
        ctx.save_for_backward(narrow(inside, x.dtype), slope)
        ctx.scale_shape = scale.shape
        ctx.has_offset = offset is not None
        ctx.gradient_scale = gradient_scale
        return narrow(y, x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inside, slope = ctx.saved_tensors
        grad_x = grad * inside
        grad_scale = (widen(grad) * slope).sum_to_size(ctx.scale_shape) * ctx.gradient_scale
        grad_offset = None
        if ctx.has_offset:
            outside = widen(grad) - widen(grad_x)
            grad_offset = outside.sum_to_size(ctx.scale_shape) * ctx.gradient_scale
        return grad_x, grad_scale, grad_offset, None, None, None, None, None


def learned_grid(
    x: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
    zero_point: Tensor | None = None,
    *,
    quant_min: int,
    quant_max: int,
    gradient_scale: float = 1.0,
    is_clip_only: bool = False,
) -> Tensor:
    """Return `x` on the grid, in its shape and type, with the module's gradients.

    scale, offset, zero_point: of one shape that broadcasts against `x`. The offset is the number
    that quant_min stands for, before zero is given a code; only its gradient is used.
    """
    if torch.is_grad_enabled() and (x.requires_grad or scale.requires_grad):
        return apply(
            _LearnedGrid,
            x,
            scale,
            offset,
            zero_point,
            quant_min,
            quant_max,
            gradient_scale,
            is_clip_only,
        )
    return fake_quantize(x, scale, zero_point, quant_min=quant_min, quant_max=quant_max)
