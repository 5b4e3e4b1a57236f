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

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from quantlab.algorithms.fused_grid import fused_grid, fused_sharing
from quantlab.algorithms.grid import Grid
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
        is_learned: bool,
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
        if is_learned:
            slope = rounded if offset is None else rounded - low
            slope.addcmul_(slope if is_clip_only else clamped, inside, value=-1)
            if offset is not None and not is_clip_only:
                slope += inside * low
            ctx.save_for_backward(narrow(inside, x.dtype), slope)
        else:
            ctx.save_for_backward(narrow(inside, x.dtype))
        ctx.is_learned = is_learned
        ctx.scale_shape = scale.shape
        ctx.has_offset = offset is not None
        ctx.gradient_scale = gradient_scale
        return narrow(y, x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x = grad * ctx.saved_tensors[0]
        if not ctx.is_learned:
            return grad_x, None, None, None, None, None, None, None, None
        slope = ctx.saved_tensors[1]
        grad_scale = _total(widen(grad) * slope, ctx.scale_shape, ctx.gradient_scale)
        grad_offset = None
        if ctx.has_offset:
            outside = widen(grad) - widen(grad_x)
            grad_offset = _total(outside, ctx.scale_shape, ctx.gradient_scale)
        return grad_x, grad_scale, grad_offset, None, None, None, None, None, None


def _total(values: Tensor, shape: torch.Size, factor: float) -> Tensor:
    """Return the sums of what shares a scale, times a factor.

    Compiled, a scale of all images sums each channel first: in the loop in which the gradient of a
    batch normalization before it does, so that the values are computed and read but once.
    """
    if torch.compiler.is_compiling() and values.ndim == 4 and not shape:
        values = values.sum((0, 2, 3))
    total = values.sum_to_size(shape)
    return total if factor == 1.0 else total * factor


def learned_grid(
    x: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
    zero_point: Tensor | None = None,
    *,
    quant_min: int,
    quant_max: int,
    min_scale: float = -math.inf,
    gradient_scale: float = 1.0,
    is_clip_only: bool = False,
) -> Tensor:
    """Return `x` on the grid, in its shape and type, with the module's gradients.

    scale, offset, zero_point: of one shape that broadcasts against `x`. The offset is the number
    that quant_min stands for, before zero is given a code; only its gradient is used.
    min_scale: smaller scales count as this, and get no gradient.
    """
    sharing = fused_sharing(x, scale)
    if sharing is not None:
        grid = Grid(
            quant_min=quant_min,
            quant_max=quant_max,
            min_scale=min_scale,
            gradient_scale=gradient_scale,
            is_clip_only=is_clip_only,
        )
        return fused_grid(x, scale, offset, zero_point, grid, sharing)
    if min_scale > -math.inf:
        scale = scale.clamp(min=min_scale)
    is_learned = scale.requires_grad or (offset is not None and offset.requires_grad)
    if torch.is_grad_enabled() and (x.requires_grad or is_learned):
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
            is_learned,
        )
    return fake_quantize(x, scale, zero_point, quant_min=quant_min, quant_max=quant_max)
