"""The photos as all topologies of CIFAR10 take them, but with one scale and zero point for all
channels: so the first layer of an integer program takes the pixels themselves, in 8 bits.

Shapes: N images, 3 channels, 32 x 32 pixels; 3 draws of a sample (row, column, flip).
"""

from torch import Tensor

from problems.CIFAR10.preprocess import NUM_DRAWS, augment
from problems.images.normalize import from_moments, normalize

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "train"]

NORMALIZATION = from_moments((0.473,) * 3, (0.251,) * 3)


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Crop, flip and normalize uint8 images `[N, 3, 32, 32]`."""
    return evaluate(augment(inputs, draws_NK))


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 3, 32, 32]` to float32."""
    return normalize(inputs, NORMALIZATION)
