"""A weight of which a part is on a grid of levels and the rest is float, as INQ and RPR train it.

Forward, with the mask m of the quantized part and Q the level nearest to each weight, in the middle
between two the upper one:

    y = Q(w) where m, w elsewhere

Backward: dy/dw = 0 where m, 1 elsewhere: only the float part learns.

The scale is found once, when the quantizer starts:

    levels          init    scale
    uniform         max     max|w| / largest level
    uniform         mse     the share of that with the least sum of (w - Q(w))^2, among 64
    power_of_two    max     largest power 2^floor(log2(4 max|w| / 3)), divided by the largest level
                            (A. Zhou et al., Incremental Network Quantization, 2017,
                            arXiv:1702.03044, equations 2 and 3)
    power_of_two    mse     the power of two, of that and the four below, with the least such sum
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from quantlab.autograd import apply
from quantlab.numerics.affine import widen
from quantlab.numerics.granularity import Granularity, reduced_axes
from quantlab.numerics.levels import LevelKind, level_codes, nearest_level, num_bits_for
from quantlab.numerics.powers import power_of_two
from quantlab.quantizer import Quantizer, QuantSpec

LevelInit = Literal["max", "mse"]

_NUM_SHARES = 64
_NUM_POWERS = 5


class _Partial(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, w: Tensor, grid: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return torch.where(mask, grid, w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return grad.masked_fill(mask, 0.0), None, None


def level_spec(num_levels: int, kind: LevelKind, granularity: Granularity) -> QuantSpec:
    """Return the spec of a quantizer with such levels."""
    return QuantSpec(
        num_bits=num_bits_for(num_levels),
        signed=True,
        granularity=granularity,
        levels=level_codes(num_levels, kind),
    )


class PartialQuantizer(Quantizer):
    """See the module. mask: bool, of the weight's shape: what is quantized.

    is_whole_in_eval: in evaluation all weights are on the grid, whatever the mask.
    """

    mask: Tensor

    def __init__(
        self,
        spec: QuantSpec,
        shape: Sequence[int],
        *,
        level_kind: LevelKind,
        init: LevelInit,
        is_whole_in_eval: bool,
    ) -> None:
        super().__init__(spec, shape)
        self.register_buffer("scale", torch.ones(self.scale_shape))
        self.register_buffer("mask", torch.zeros(tuple(shape), dtype=torch.bool))
        self._has_powers = level_kind == "power_of_two"
        self._init: LevelInit = init
        self._is_whole_in_eval = is_whole_in_eval
        self._reduced_axes = reduced_axes(spec.granularity.split_shape(shape), self.scale_shape)

    @property
    def is_complete(self) -> bool:
        return self.is_enabled and (self._is_whole_in_eval or bool(self.mask.all()))

    def observe(self, x: Tensor) -> None:
        with torch.no_grad():
            wide = widen(self.split(x))
            keepdim = bool(self.scale_shape)
            widest = wide.abs().amax(self._reduced_axes, keepdim=keepdim)
            widest = widest.masked_fill(widest == 0, 1.0)
            best, least = widest, torch.full_like(widest, torch.inf)
            for scale in self._candidates(widest):
                error = (self._nearest(wide, scale) - wide).square_()
                total = error.sum(self._reduced_axes, keepdim=keepdim)
                is_better = total < least
                best = torch.where(is_better, scale, best)
                least = torch.where(is_better, total, least)
            self.scale.copy_(best)

    def fake_quantize(self, x: Tensor) -> Tensor:
        grid = self.on_grid(x)
        if self._is_whole_in_eval and not self.training:
            return grid
        mask = self.split(self.mask)
        if torch.is_grad_enabled() and x.requires_grad:
            return apply(_Partial, x, grid, mask)
        return torch.where(mask, grid, x)

    def on_grid(self, x: Tensor) -> Tensor:
        """Return all of `x`, split, on the grid, without gradient."""
        with torch.no_grad():
            return self._nearest(widen(x.detach()), self.scale).to(x.dtype)

    def encode(self, x: Tensor) -> Tensor:
        return nearest_level(widen(x) / self.scale, self.spec.codes).to(torch.int32)

    def _nearest(self, wide: Tensor, scale: Tensor) -> Tensor:
        return nearest_level(wide / scale, self.spec.codes) * scale

    def _candidates(self, widest: Tensor) -> list[Tensor]:
        """Return the scales to choose from, the one of `max` first."""
        if self._has_powers:
            top = (widest * (4.0 / 3.0)).log2().floor()
            num_powers = _NUM_POWERS if self._init == "mse" else 1
            return [
                power_of_two(top - i).to(widest.dtype) / self.quant_max for i in range(num_powers)
            ]
        most = widest / self.quant_max
        if self._init == "max":
            return [most]
        return [most * (share / _NUM_SHARES) for share in range(_NUM_SHARES, 0, -1)]
