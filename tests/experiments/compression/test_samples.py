"""What trains and what decides: never the same sample."""

from pathlib import Path

import pytest
import torch

from experiments.compression.samples import split_of
from experiments.data.splits import Split
from quantlab.errors import UsageError
from tests.toy.experiments import toy_experiment

NONE = "data.valid_fraction=0"


def check(split: Split, num_valid: int) -> None:
    """60 samples, each on one side, in order."""
    assert len(split.valid) == num_valid
    both = torch.cat([split.train, split.valid])
    assert torch.equal(both.sort().values, torch.arange(60))
    assert torch.equal(split.valid, split.valid.sort().values)


def test_the_run_decides(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path)
    split = split_of(experiment, 0, seed=3)
    check(split, 12)
    assert torch.equal(split.valid, experiment.split(0).valid)
    folds = toy_experiment(tmp_path, "experiment.folds=3")
    assert torch.equal(split_of(folds, 2, seed=3).valid, folds.split(2).valid)


def test_a_tenth_is_held_out_without(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, NONE)
    split = split_of(experiment, 0, seed=3)
    check(split, 6)
    assert torch.equal(split.valid, split_of(experiment, 0, seed=3).valid)
    assert not torch.equal(split.valid, split_of(experiment, 0, seed=4).valid)
    assert len(split_of(toy_experiment(tmp_path, NONE, "data.limit=2"), 0, seed=3).valid) == 1
    with pytest.raises(UsageError, match=r"^data\.limit: 1 training sample left, at least 2"):
        split_of(toy_experiment(tmp_path, NONE, "data.limit=1"), 0, seed=3)
