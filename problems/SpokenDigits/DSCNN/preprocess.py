"""The recordings as all topologies of SpokenDigits take them."""

from problems.SpokenDigits.preprocess import (
    NORMALIZATION,
    NUM_DRAWS,
    evaluate,
    read_evaluate,
    read_train,
    train,
)

__all__ = ["NORMALIZATION", "NUM_DRAWS", "evaluate", "read_evaluate", "read_train", "train"]
