"""The arithmetic of the network."""

import pytest
import torch
from torch import nn

from experiments.training.precision import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("float32", torch.float32, torch.float32),
        ("float64", torch.float64, torch.float64),
        ("bfloat16", torch.float32, torch.bfloat16),
        ("float16", torch.float32, torch.float16),
    ],
)
def test_types(name: str, inputs: torch.dtype, outputs: torch.dtype) -> None:
    precision = Precision(name, CPU)
    assert precision.dtype == inputs
    network = nn.Linear(2, 2).to(precision.dtype)
    for _ in range(2):  # the context can be entered again
        with precision.autocast():
            assert network(torch.ones(1, 2, dtype=precision.dtype)).dtype == outputs
    assert not torch.is_autocast_enabled("cpu")


def test_only_float16_scales_the_loss() -> None:
    loss = torch.ones((), requires_grad=True)
    for name in ("float32", "float64", "bfloat16"):
        precision = Precision(name, CPU)
        assert precision.scaler is None
        assert precision.scale(loss) is loss
    assert float(Precision("float16", CPU).scale(loss).detach()) == 2.0**16
