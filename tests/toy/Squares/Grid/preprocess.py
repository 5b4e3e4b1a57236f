"""Pixels around 0."""

from torch import Tensor

from problems.images.normalize import Normalization, normalize

NORMALIZATION = Normalization(zero_point=(128,), scale=(1 / 64,))
NUM_DRAWS = 0


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    return evaluate(inputs)


def evaluate(inputs: Tensor) -> Tensor:
    return normalize(inputs, NORMALIZATION)
