"""Affine quantization: between real numbers and integer codes.

    codes = clamp(floor(x / scale + 1/2) + zero_point, quant_min, quant_max)
    x^    = (codes - zero_point) * scale

(B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, 2018, arXiv:1712.05877, equation 1, with the rounding of `rounding`.) `x` has any shape,
`scale` and `zero_point` broadcast against it (see `granularity`). The arithmetic is float32 even
where autocast is on or `x` has half precision, and float64 where `x` is float64. It divides by the
scale instead of multiplying by its reciprocal, so that no compiler can fuse the product with the
addition that follows and thereby move a code.
"""

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.numerics.rounding import round_half_up_

# A range below the smallest normal number counts as zero: its scale could not be inverted.
_TINY = torch.finfo(torch.float32).tiny


def widen(x: Tensor) -> Tensor:
    """Return `x` in the type that quantization computes in: float64 stays, all else is float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def narrow(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `y` in a type, itself if it has that.

    For what an autograd function returns: where that is an alias of what it has computed, such as
    the result of an operation in place or of a `.to` that changes nothing, code compiled by
    torch 2.11 passes no gradient on.
    """
    return y if y.dtype == dtype else y.to(dtype)


def quantize(
    x: Tensor, scale: Tensor, zero_point: Tensor | None, *, quant_min: int, quant_max: int
) -> Tensor:
    """Return the codes of `x`, int32 and of its shape. A NaN has no meaningful code.

    zero_point: None stands for zero.
    """
    _, clamped = _round(widen(x), scale, zero_point, quant_min, quant_max)
    codes = clamped.to(torch.int32)
    return codes if zero_point is None else codes.add_(zero_point)


def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """Return the real numbers that integer `codes` stand for, in the type of `scale`."""
    if zero_point is not None:
        codes = codes - zero_point
    return codes.to(widen(scale).dtype) * scale


def fake_quantize(
    x: Tensor, scale: Tensor, zero_point: Tensor | None, *, quant_min: int, quant_max: int
) -> Tensor:
    """Return `dequantize(quantize(x))`, computed in one go, in the type of `x`. No gradient."""
    _, clamped = _round(widen(x), scale, zero_point, quant_min, quant_max)
    return clamped.mul_(scale).to(x.dtype)


def fake_quantize_masked(
    x: Tensor, scale: Tensor, zero_point: Tensor | None, *, quant_min: int, quant_max: int
) -> tuple[Tensor, Tensor]:
    """Return `fake_quantize(x)` and where `x` was not clipped, as 1 and 0 in the type of `x`.

    A number counts as clipped if its code was outside the range *before* clamping. What lies at
    most half a step outside is only rounded: so the largest weight, which sits on the last level
    up to an ulp, always counts as inside.
    """
    rounded, clamped = _round(widen(x), scale, zero_point, quant_min, quant_max)
    # Ones and zeros as float: a bool tensor costs 25 times more to multiply with on a CPU.
    mask = rounded.eq_(clamped)
    return narrow(clamped * scale, x.dtype), narrow(mask, x.dtype)


def _round(
    x: Tensor, scale: Tensor, zero_point: Tensor | None, quant_min: int, quant_max: int
) -> tuple[Tensor, Tensor]:
    """Return the codes less the zero point before and after clamping, as new whole floats.

    With the zero point moved to the bounds, it costs nothing where there is none.
    """
    rounded = round_half_up_(x / scale)
    if zero_point is None:
        return rounded, rounded.clamp(quant_min, quant_max)
    return rounded, rounded.clamp(quant_min - zero_point, quant_max - zero_point)


def symmetric_scale(max_abs: Tensor, *, quant_max: int) -> Tensor:
    """Return the scale at which `quant_max` stands for `max_abs` (1 where `max_abs` is zero).

    Never waits for the device, so nothing is checked: a NaN stays one.
    """
    return max_abs.masked_fill(max_abs < _TINY * quant_max, quant_max).div_(quant_max)


def choose_scale_zero_point(
    minimum: Tensor, maximum: Tensor, *, quant_min: int, quant_max: int, symmetric: bool
) -> tuple[Tensor, Tensor]:
    """Return the scale (float32) and zero point (int32) with which the codes cover a range.

    minimum, maximum: of equal shape, one entry for each scale. The range is first extended to
    include zero, which therefore always has a code of its own.
    symmetric: the zero point is 0, and the scale is the least with which no end that the codes
    have a side for is clipped. Otherwise the zero point is rounded, and an end may be clipped by
    at most half a step.

    A range of width zero gets the scale 1. Raises UsageError if an end is not finite or the ends
    are in the wrong order.
    """
    low, high = minimum.double(), maximum.double()
    for name, end in (("minimum", low), ("maximum", high)):
        if not bool(end.isfinite().all()):
            bad = end[~end.isfinite()].flatten()[0].item()
            raise UsageError(f"{name}: {bad} given, finite numbers allowed")
    if bool((low > high).any()):
        raise UsageError(f"minimum: {low.max().item()} given, at most the maximum allowed")
    return _cover(
        low.clamp(max=0), high.clamp(min=0), quant_min, quant_max, symmetric, torch.float32
    )


def range_scale_zero_point(
    minimum: Tensor, maximum: Tensor, *, quant_min: int, quant_max: int, symmetric: bool
) -> tuple[Tensor, Tensor]:
    """Return what `choose_scale_zero_point` does for a range known to be good: finite, with the
    minimum at most and the maximum at least 0. The scale of a float64 range is float64.

    Never waits for the device.
    """
    dtype = widen(minimum).dtype
    return _cover(minimum.double(), maximum.double(), quant_min, quant_max, symmetric, dtype)


def _cover(
    low: Tensor,
    high: Tensor,
    quant_min: int,
    quant_max: int,
    symmetric: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    if symmetric:
        per_step = high / quant_max
        if quant_min < 0:
            per_step = torch.maximum(per_step, low / quant_min)
    else:
        per_step = (high - low) / (quant_max - quant_min)
    scale = symmetric_scale(per_step.to(dtype), quant_max=1)
    if symmetric:
        return scale, torch.zeros_like(scale, dtype=torch.int32)
    zero_point = quant_min + round_half_up_(-low / scale)
    return scale, zero_point.clamp(quant_min, quant_max).to(torch.int32)
