"""Raw digits to the network's inputs: shifts by up to two pixels, normalization.

Shapes: N images, 1 channel, 28 x 28 pixels; 2 draws of a sample (row, column).
"""

from torch import Tensor

from problems.images.augment import random_crop
from problems.images.normalize import MNIST, normalize

NORMALIZATION = MNIST
NUM_DRAWS = 2


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Shift and normalize uint8 images `[N, 1, 28, 28]`."""
    return evaluate(random_crop(inputs, draws_NK, padding=2))


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 1, 28, 28]` to float32."""
    return normalize(inputs, NORMALIZATION)
