"""The range of a weight: where the ends of its grid lie.

    name   end, for each scale                        the weights
    max    max|w|                                     none is clipped
    mean   2 mean|w| sqrt(quant_max)                  S. Esser et al., Learned Step Size
           so that scale = 2 mean|w| / sqrt(quant_max)   Quantization, 2020, arXiv:1902.08153, 2.1
    mse    the share of max|w| with the least sum of  R. Banner et al. 2019, arXiv:1810.05723
           (w - Q(w))^2, among NUM_CANDIDATES

Nothing waits for the device.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from quantlab.numerics.affine import fake_quantize, symmetric_scale, widen

WeightRange = Literal["max", "mean", "mse"]

NUM_CANDIDATES = 64


def weight_range(
    weight: Tensor,
    kind: WeightRange,
    *,
    reduced_axes: Sequence[int],
    keepdim: bool,
    quant_min: int,
    quant_max: int,
) -> Tensor:
    """Return the upper end of a symmetric range for each scale.

    reduced_axes: of `weight`, along which a scale is shared.
    """
    with torch.no_grad():
        wide = widen(weight.detach())
        axes = list(reduced_axes)
        sizes = wide.abs()
        if kind == "mean":
            mean: Tensor = sizes.mean(axes, keepdim=keepdim)
            return mean * (2.0 * math.sqrt(quant_max))
        widest = sizes.amax(axes, keepdim=keepdim)
        if kind == "max":
            return widest
        best = widest
        least = torch.full_like(widest, torch.inf)
        for candidate in range(1, NUM_CANDIDATES + 1):
            end = widest * (candidate / NUM_CANDIDATES)
            scale = symmetric_scale(end, quant_max=quant_max)
            grid = fake_quantize(wide, scale, None, quant_min=quant_min, quant_max=quant_max)
            error = grid.sub_(wide).square_().sum(axes, keepdim=keepdim)
            is_better = error < least
            best, least = torch.where(is_better, end, best), torch.where(is_better, error, least)
        return best
