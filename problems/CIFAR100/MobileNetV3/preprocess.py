"""The photos as all topologies of CIFAR100 take them."""

from problems.CIFAR100.preprocess import (
    NORMALIZATION,
    NUM_DRAWS,
    evaluate,
    train,
)

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "train"]
