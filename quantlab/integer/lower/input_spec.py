"""What a program takes."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.integer.lower.grid import Grid, pixel_grid


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """A raw input of u8: real = (integer - zero_point) * scale, for each channel.

    shape: `[C, H, W]`.
    """

    shape: tuple[int, int, int]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.scale) == len(self.zero_point) == self.shape[0]:
            raise UsageError(
                f"input: {len(self.scale)} scales and {len(self.zero_point)} zero points given, "
                f"{self.shape[0]} of each allowed, one a channel"
            )
        if not all(float(zero).is_integer() and 0 <= zero <= 255 for zero in self.zero_point):
            raise UsageError(
                f"input: zero points {self.zero_point} given, whole numbers from 0 to 255 allowed; "
                "round them, in what the network is trained with too"
            )
        if not all(math.isfinite(scale) and scale > 0 for scale in self.scale):
            raise UsageError(f"input: scales {self.scale} given, finite ones above 0 allowed")

    @property
    def grid(self) -> Grid:
        scale, zero_point = np.array(self.scale), np.array(self.zero_point, dtype=np.int64)
        if len(set(zip(self.scale, self.zero_point, strict=True))) == 1:
            scale, zero_point = scale[:1], zero_point[:1]
        return pixel_grid(scale, zero_point)

    def example(self, samples: Tensor | None) -> Tensor:
        """Return a batch of two. Raises UsageError if samples have another shape."""
        if samples is not None and samples.shape[1:] != self.shape:
            raise UsageError(
                f"samples: {list(samples.shape[1:])} given, {list(self.shape)} allowed"
            )
        return torch.zeros(2, *self.shape)
