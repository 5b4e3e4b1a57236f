"""What a program takes."""

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import UsageError, check_kind
from quantlab.integer.encoding import Encoding
from quantlab.integer.lower.grid import Grid, pixel_grid

INPUT = "input"  # its name in programs


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """An input of u8: real = (integer - zero_point) * scale.

    Of a raw image, `[C, H, W]`, or signal, `[C, W]`, each channel has its scale and zero point; of
    a row, `[F]`, all features share one. encoding: how the numbers of a row become integers, if
    they are none.
    """

    shape: tuple[int, ...]
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        kinds = {"shape": Integral, "scale": Real, "zero_point": Real}
        for name, kind in kinds.items():
            given = getattr(self, name)
            check_kind(f"input.{name}", given, tuple | list, "a tuple of numbers")
            for index, number in enumerate(given):
                allowed = "an integer" if kind is Integral else "a number"
                check_kind(f"input.{name}[{index}]", number, kind, allowed)
            object.__setattr__(self, name, tuple(given))
        if self.encoding is not None:
            check_kind("input.encoding", self.encoding, Encoding, "an Encoding")
        if len(self.shape) not in (1, 2, 3):
            raise UsageError(
                f"input: shape {list(self.shape)} given, an image [C, H, W], a signal [C, W] or a "
                "row [F] allowed"
            )
        is_row = len(self.shape) == 1
        wanted, why = (1, "for all features") if is_row else (self.shape[0], "one a channel")
        if not len(self.scale) == len(self.zero_point) == wanted:
            raise UsageError(
                f"input: {len(self.scale)} scales and {len(self.zero_point)} zero points given, "
                f"{wanted} of each allowed, {why}"
            )
        if self.encoding is not None and self.shape != (len(self.encoding.names),):
            raise UsageError(
                f"input: an encoding of {len(self.encoding.names)} features given, shape "
                f"{list(self.shape)}; one for each feature of a row allowed"
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
        return pixel_grid(scale, zero_point, len(self.shape))

    @property
    def encodings(self) -> dict[str, Encoding]:
        """What `Program.encodings` has of an input of this kind."""
        return {} if self.encoding is None else {INPUT: self.encoding}

    def example(self, samples: Tensor | None) -> Tensor:
        """Return a batch of two. Raises UsageError if samples have another shape."""
        if samples is not None and samples.shape[1:] != self.shape:
            raise UsageError(
                f"samples: {list(samples.shape[1:])} given, {list(self.shape)} allowed"
            )
        return torch.zeros(2, *self.shape)
