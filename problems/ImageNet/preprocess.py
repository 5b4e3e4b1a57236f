"""Photos to the network's inputs: random resized crops and flips to train, the center to evaluate.

Shapes: N images, 3 channels, 224 x 224 pixels. The draws of a sample: those of the crop, then one
of the flip.
"""

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from problems.images.augment import random_flip
from problems.images.crops import NUM_CROP_DRAWS, random_resized_crop, resize_center_crop
from problems.images.folder import to_tensor
from problems.images.normalize import IMAGENET, normalize

NORMALIZATION = IMAGENET
NUM_DRAWS = NUM_CROP_DRAWS + 1

_RESIZE = 256
_SIZE = 224


def read_train(sample: Image.Image, draws_K: Sequence[float]) -> Tensor:
    """Return a random crop of a photo as uint8 `[3, 224, 224]`."""
    return to_tensor(random_resized_crop(sample, draws_K[:NUM_CROP_DRAWS], size=_SIZE))


def read_evaluate(sample: Image.Image) -> Tensor:
    """Return the center of a photo as uint8 `[3, 224, 224]`."""
    return to_tensor(resize_center_crop(sample, resize=_RESIZE, size=_SIZE))


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Flip and normalize uint8 images `[N, 3, 224, 224]`."""
    return evaluate(random_flip(inputs, draws_NK[:, NUM_CROP_DRAWS:]))


def evaluate(inputs: Tensor) -> Tensor:
    """Normalize uint8 images `[N, 3, 224, 224]` to float32."""
    return normalize(inputs, NORMALIZATION)
