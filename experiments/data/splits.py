"""Which samples train, validate and test: a pure function of the configuration."""

from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices into the training set, int64, ascending. `valid` may be empty."""

    train: Tensor
    valid: Tensor


def split(
    num_samples: int,
    *,
    valid_fraction: float,
    split_seed: int,
    limit: int | None,
    limit_valid: int | None,
    folds: int,
    fold: int,
) -> Split:
    """Divide `num_samples` training samples. With folds, fold k validates on every folds-th sample
    of one shuffled order, starting at k; without, on the first `valid_fraction` of it. limit_valid:
    the first so many of these alone; those that train stay the same."""
    generator = torch.Generator().manual_seed(split_seed)
    order = torch.randperm(num_samples, generator=generator)[:limit]
    if folds > 1:
        if folds > len(order):
            raise UsageError(f"experiment.folds: {folds} folds of {len(order)} samples")
        is_valid = torch.arange(len(order)) % folds == fold
    else:
        is_valid = torch.arange(len(order)) < round(valid_fraction * len(order))
    train, valid = order[~is_valid].sort().values, order[is_valid][:limit_valid].sort().values
    if len(train) == 0:
        raise UsageError(
            f"data.valid_fraction: {valid_fraction} leaves none of {len(order)} samples to train on"
        )
    return Split(train=train, valid=valid)


def samples_to_test(num_samples: int, *, split_seed: int, limit: int | None) -> Tensor:
    """Return the indices of the test samples that are used, int64, ascending."""
    generator = torch.Generator().manual_seed(split_seed)
    return torch.randperm(num_samples, generator=generator)[:limit].sort().values
