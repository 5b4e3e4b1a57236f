"""A uniform grid, and which elements of a tensor share a scale, for fused fake quantization."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_MAX_ELEMENTS = 2**30  # kernels count in int32


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A uniform grid and its gradients; see `learned_grid`, and `ste` for `is_rounded_first`.

    min_scale: smaller scales count as this, and get no gradient.
    """

    quant_min: int
    quant_max: int
    min_scale: float = -math.inf
    gradient_scale: float = 1.0
    is_clip_only: bool = False
    is_rounded_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """A tensor's elements as they lie in memory: [num_outer, num_scales, num_inner]."""

    num_outer: int
    num_scales: int
    num_inner: int

    @property
    def size(self) -> int:
        """How many elements share a scale."""
        return self.num_outer * self.num_inner

    @property
    def is_flat(self) -> bool:
        """Whether the elements of a scale are neighbors."""
        return self.num_outer == 1 or self.num_scales == 1


def sharing_of(x: Tensor, scale: Tensor) -> Sharing | None:
    """Return how the elements of `x` share the scales that broadcast against it.

    None where it has no such form: gaps in memory, no elements, or scales along axes that do not
    lie side by side.
    """
    is_dense = x.is_contiguous() or (
        x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    )
    if not is_dense or not scale.is_contiguous() or not 0 < x.numel() < _MAX_ELEMENTS:
        return None
    if scale.numel() == 1 and scale.ndim <= x.ndim:
        return Sharing(num_outer=1, num_scales=1, num_inner=x.numel())
    if scale.ndim != x.ndim:
        return None
    kept = [axis for axis, size in enumerate(scale.shape) if size > 1]
    first, last = kept[0], kept[-1]
    if any(scale.shape[axis] != x.shape[axis] for axis in range(first, last + 1)):
        return None
    if first != last and not x.is_contiguous():
        return None
    num_inner = x.stride(last)
    return Sharing(
        num_outer=x.numel() // (num_inner * scale.numel()),
        num_scales=scale.numel(),
        num_inner=num_inner,
    )
