"""Normalization on the integer grid of a raw image.

Shapes: N images, C channels, H x W pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from quantlab.errors import UsageError

_PARTS = 128


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """`(x - zero_point) * scale` per channel, x an uint8 pixel.

    The zero point is an integer, so that it is a level of the raw image: an integer program folds
    it into the first layer and pads with it, and training sees the same padding.
    """

    zero_point: tuple[int, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.zero_point) != len(self.scale) or not self.scale:
            raise UsageError(
                f"normalization: {len(self.zero_point)} zero points, {len(self.scale)} scales; "
                "allowed: one of each per channel"
            )
        for zero_point, scale in zip(self.zero_point, self.scale, strict=True):
            if not 0 <= zero_point <= 255 or zero_point != int(zero_point):
                raise UsageError(f"normalization: zero point {zero_point}; allowed: 0..255")
            if not 0 < scale < float("inf"):
                raise UsageError(f"normalization: scale {scale}; allowed: finite and above 0")


def from_moments(mean: tuple[float, ...], std: tuple[float, ...]) -> Normalization:
    """Return the normalization for a mean and standard deviation in units of [0, 1] images.

    The scales are that of the smallest deviation times n / 128, n from 1 to 128, at most 0.4 % off:
    so the channels have a common grid of 16 bits, on which an integer program has the very numbers
    that training has.

    Raises UsageError for moments that no image has.
    """
    if len(mean) != len(std):
        raise UsageError(
            f"normalization: {len(mean)} means and {len(std)} stds given; one of each per channel"
        )
    if not all(0 < value < float("inf") for value in std):
        raise UsageError(f"normalization: std {std} given; finite and above 0 allowed")
    if not std:
        raise UsageError(f"normalization: std {std} given; one per channel, at least 1, allowed")
    if not all(0 <= value <= 1 for value in mean):
        raise UsageError(f"normalization: mean {mean} given; 0 to 1 allowed, of images from 0 to 1")
    largest = 1 / (255 * min(std))
    parts = [max(1, round(_PARTS * min(std) / value)) for value in std]
    return Normalization(
        zero_point=tuple(round(255 * value) for value in mean),
        scale=tuple(largest * part / _PARTS for part in parts),
    )


MNIST = from_moments((0.1307,), (0.3081,))
CIFAR10 = from_moments((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR100 = from_moments((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
IMAGENET = from_moments((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalize(x_NCHW: Tensor, normalization: Normalization) -> Tensor:
    """Return `(x - zero_point) * scale` in float32; the subtraction is exact for uint8 images.

    Raises UsageError if the number of channels differs.
    """
    if x_NCHW.shape[-3] != len(normalization.scale):
        raise UsageError(
            f"normalize: {x_NCHW.shape[-3]} channels; allowed: {len(normalization.scale)}"
        )
    zero_point_C11, scale_C11 = _constants(normalization, x_NCHW.device)
    return x_NCHW.to(torch.float32).sub(zero_point_C11).mul_(scale_C11)


@lru_cache(maxsize=32)
def _constants(normalization: Normalization, device: torch.device) -> tuple[Tensor, Tensor]:
    # Kept, since a copy to a GPU in each step would wait for it.
    with torch.inference_mode(False):
        zero_point = torch.tensor(normalization.zero_point, dtype=torch.float32, device=device)
        scale = torch.tensor(normalization.scale, dtype=torch.float32, device=device)
        return zero_point.view(-1, 1, 1), scale.view(-1, 1, 1)
