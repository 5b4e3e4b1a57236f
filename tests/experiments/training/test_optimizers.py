"""The optimizer that a configuration names."""

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from experiments.training.optimizers import create_optimizer
from quantlab.errors import UsageError
from tests.toy.experiments import toy_experiment


def made(folder: Path, *overrides: str) -> optim.Optimizer:
    """Return the toy's optimizer for four processes."""
    experiment = toy_experiment(folder, *overrides)
    groups = [{"params": [nn.Parameter(torch.zeros(2))]}]
    return create_optimizer(experiment.config.training, experiment.document, groups, num_ranks=4)


@pytest.mark.parametrize(("scaling", "rate"), [("none", 0.05), ("linear", 0.2)])
def test_rate(tmp_path: Path, scaling: str, rate: float) -> None:
    optimizer = made(tmp_path, f"training.lr_scaling={scaling}")
    assert isinstance(optimizer, optim.SGD)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert optimizer.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("is_compiled", [False, True])
def test_only_compiled_networks_import_the_compiler(tmp_path: Path, is_compiled: bool) -> None:
    optimizer = made(tmp_path, f"training.compile={str(is_compiled).lower()}")
    assert hasattr(type(optimizer).zero_grad, "__wrapped__") == is_compiled  # guarded by torch


def test_a_loss_is_evaluated_once_a_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^training\.optimizer\.class: LBFGS evaluates the loss"):
        made(tmp_path, "training.optimizer.class=LBFGS")
