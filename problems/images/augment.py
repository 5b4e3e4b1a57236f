"""Augmentation of whole batches, as pure functions of the images and of uniform draws.

Every decision is a comparison or a product of one draw in float64, so a sample is augmented the
same whatever the batch it is in and the device it lies on. Nothing loops over samples.

Shapes: N images, C channels, H x W pixels, K draws of a sample.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from quantlab.errors import UsageError


def random_crop(x_NCHW: Tensor, draws_N2: Tensor, *, padding: int, fill: int = 0) -> Tensor:
    """Pad each side by `padding` pixels of value `fill`, then cut H x W out at a drawn place.

    Draw 0 says the row, draw 1 the column. Raises UsageError for another number of draws.
    """
    _check_draws("random_crop", x_NCHW, draws_N2, 2)
    if padding == 0:
        return x_NCHW
    height, width = x_NCHW.shape[-2:]
    padded = F.pad(x_NCHW, (padding,) * 4, value=fill)
    # All crops as a view: [N, C, row, column, H, W].
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    offsets_N2 = _pick(draws_N2, 2 * padding + 1)
    samples_N = torch.arange(len(x_NCHW), device=x_NCHW.device)
    crops: Tensor = windows[samples_N, :, offsets_N2[:, 0], offsets_N2[:, 1]]
    return crops


def random_flip(x_NCHW: Tensor, draws_N1: Tensor, *, probability: float = 0.5) -> Tensor:
    """Mirror left and right where the draw is below `probability`."""
    _check_draws("random_flip", x_NCHW, draws_N1, 1)
    is_flipped = (draws_N1.double() < probability).view(-1, 1, 1, 1)
    return torch.where(is_flipped, x_NCHW.flip(3), x_NCHW)


def random_brightness(x_NCHW: Tensor, draws_N1: Tensor, *, strength: float) -> Tensor:
    """Multiply uint8 images by a factor uniform in [1 - strength, 1 + strength), round half up."""
    _check_draws("random_brightness", x_NCHW, draws_N1, 1)
    if x_NCHW.dtype != torch.uint8:
        raise UsageError(f"random_brightness: images of {x_NCHW.dtype}; allowed: torch.uint8")
    factors = (1 + strength * (2 * draws_N1.double() - 1)).float().view(-1, 1, 1, 1)
    return (x_NCHW * factors).add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _pick(draws: Tensor, num_choices: int) -> Tensor:
    """Return integers 0..num_choices-1. The clamp is for draws that round up to 1."""
    return (draws.double() * num_choices).long().clamp_(max=num_choices - 1)


def _check_draws(name: str, x_NCHW: Tensor, draws_NK: Tensor, num_draws: int) -> None:
    if draws_NK.shape != (len(x_NCHW), num_draws):
        raise UsageError(
            f"{name}: draws of shape {list(draws_NK.shape)}; allowed: {[len(x_NCHW), num_draws]}"
        )
