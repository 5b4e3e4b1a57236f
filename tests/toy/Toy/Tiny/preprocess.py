"""Brightness by one draw, then numbers around 0."""

from torch import Tensor

from problems.images.normalize import Normalization

NORMALIZATION = Normalization(zero_point=(96,), scale=(1 / 96,))
NUM_DRAWS = 1


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    """Return float32 patches, brighter by their draw."""
    return evaluate(inputs) + 0.5 * draws_NK[:, :, None, None]


def evaluate(inputs: Tensor) -> Tensor:
    """Return float32 patches in about [-1, 1]."""
    return inputs.float() / 96.0 - 1.0
