"""Which samples of a run train its compression, decide, and test it."""

import torch
from torch import Tensor

from experiments.data.draws import permutation
from experiments.data.splits import Split
from experiments.experiment.experiment import Experiment
from quantlab.errors import UsageError

_TENTH = 10


def split_of(experiment: Experiment, fold: int, seed: int) -> Split:
    """Return the samples that train and those that decide: the run's own, or a tenth of those that
    train if the run has none to validate on. Raises UsageError for one sample alone."""
    own = experiment.split(fold)
    return own if len(own.valid) else _held_out(own.train, seed)


def _held_out(indices: Tensor, seed: int) -> Split:
    if len(indices) < 2:
        raise UsageError(f"data.limit: {len(indices)} training sample left, at least 2 needed")
    count = max(len(indices) // _TENTH, 1)
    is_valid = torch.zeros(len(indices), dtype=torch.bool)
    is_valid[permutation(seed, 0, len(indices))[:count]] = True
    return Split(train=indices[~is_valid], valid=indices[is_valid])
