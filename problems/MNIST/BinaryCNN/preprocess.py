"""The digits as all topologies of MNIST take them."""

from problems.MNIST.preprocess import (
    NORMALIZATION,
    NUM_DRAWS,
    evaluate,
    train,
)

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "train"]
