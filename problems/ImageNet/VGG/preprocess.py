"""The photos as all topologies of ImageNet take them."""

from problems.ImageNet.preprocess import (
    NORMALIZATION,
    NUM_DRAWS,
    evaluate,
    read_evaluate,
    read_train,
    train,
)

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "read_evaluate", "read_train", "train"]
