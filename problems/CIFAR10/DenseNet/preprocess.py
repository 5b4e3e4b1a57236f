"""The photos as all topologies of CIFAR10 take them."""

from problems.CIFAR10.preprocess import (
    NORMALIZATION,
    NUM_DRAWS,
    evaluate,
    train,
)

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "train"]
