"""Raw photos to the network's inputs: random crops and flips, normalization.

Shapes: N images, 3 channels, 32 x 32 pixels; 3 draws of a sample (row, column, flip).
"""

from torch import Tensor

from problems.images.augment import random_crop, random_flip
from problems.images.normalize import CIFAR10, normalize

NORMALIZATION = CIFAR10
NUM_DRAWS = 3


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Crop, flip and normalize uint8 images `[N, 3, 32, 32]`."""
    return evaluate(augment(inputs, draws_NK))


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 3, 32, 32]` to float32."""
    return normalize(inputs, NORMALIZATION)


def augment(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Crop and flip uint8 images `[N, 3, 32, 32]`."""
    cropped = random_crop(inputs, draws_NK[:, :2], padding=4)
    return random_flip(cropped, draws_NK[:, 2:])
