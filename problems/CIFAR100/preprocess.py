"""Raw photos to the network's inputs: random crops and flips as of CIFAR10, normalization.

Shapes: N images, 3 channels, 32 x 32 pixels; 3 draws of a sample (row, column, flip).
"""

from torch import Tensor

from problems.CIFAR10.preprocess import NUM_DRAWS, augment
from problems.images.normalize import CIFAR100, normalize

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "train"]

NORMALIZATION = CIFAR100


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Crop, flip and normalize uint8 images `[N, 3, 32, 32]`."""
    return evaluate(augment(inputs, draws_NK))


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 3, 32, 32]` to float32."""
    return normalize(inputs, NORMALIZATION)
