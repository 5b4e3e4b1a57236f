"""The steps of training."""

import pytest
import torch
from torch import nn

from quantlab.compression import Recipe
from quantlab.compression.training import new_optimizer


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_optimizers_import_no_compiler(name: str) -> None:
    """The methods that torch guards import torch._dynamo, at the first call of each."""
    recipe = Recipe(optimizer=name, learning_rate=0.5, momentum=0.25, weight_decay=0.125)
    optimizer = new_optimizer(nn.Linear(2, 2), recipe)
    assert isinstance(optimizer, {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name])
    assert hasattr(torch.optim.Optimizer.zero_grad, "__wrapped__")  # guarded
    assert not hasattr(type(optimizer).zero_grad, "__wrapped__")
    assert optimizer.defaults["lr"] == 0.5
    assert optimizer.defaults["weight_decay"] == 0.125
