from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.output_error import output_error
from quantlab.errors import UsageError


class Scaled(nn.Module):
    """Gives `wrap(factor * x, factor * x + 1)`."""

    def __init__(self, wrap: Any, factor: float = 1.0) -> None:
        super().__init__()
        self.wrap, self.factor = wrap, factor

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.factor * x, self.factor * x + 1)


@pytest.mark.parametrize(
    "wrap", [lambda a, b: (a, b), lambda a, b: {"a": a, "b": [b]}, lambda a, b: [(a,), b]]
)
def test_the_error_is_the_part_of_the_energy_that_differs(wrap: Any) -> None:
    x = torch.randn(200, 3)
    error = output_error(Scaled(wrap), x)
    assert error(Scaled(wrap)) == 0
    wanted = (2 * (0.5 * x).square().sum() / (x.square() + (x + 1).square()).sum()).item()
    assert error(Scaled(wrap, 1.5)) == pytest.approx(wanted)


def test_outputs_are_those_of_evaluation() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.9)).train()
    x = torch.randn(9, 3)
    assert output_error(network, x)(network) == 0
    assert network.training


def test_outputs_of_zero_have_an_infinite_error() -> None:
    x = torch.ones(2, 3)
    error = output_error(Scaled(lambda a, _: a, 0.0), x)
    assert error(Scaled(lambda a, _: a, 0.0)) == 0
    assert error(Scaled(lambda a, _: a, 1.0)) > 1e300


def test_a_network_without_tensors_is_one_line() -> None:
    with pytest.raises(UsageError, match="network: one that returns a str given, tensors allowed"):
        output_error(Scaled(lambda *_: "x"), torch.ones(2, 3))
