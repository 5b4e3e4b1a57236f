"""Which layers make values that quantizers may stand behind."""

import pytest
from torch import nn

from quantlab.graphs.operations import Add
from quantlab.graphs.values import makes_value, value_layers


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ReLU(), True),
        (nn.AvgPool2d(2), True),
        (nn.BatchNorm2d(2), True),
        (nn.Identity(), True),
        (Add(), True),
        (nn.Conv2d(1, 1, 1), False),
        (nn.ConvTranspose2d(1, 1, 1), False),
        (nn.Sequential(), False),
        (nn.MultiheadAttention(2, 1), False),
        (nn.LSTM(1, 1), False),
        (nn.CrossEntropyLoss(), False),
    ],
)
def test_layers_that_make_values(layer: nn.Module, expected: bool) -> None:
    assert makes_value(layer) == expected


def test_layers_are_in_the_order_of_definition() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)))
    assert list(value_layers(network)) == ["0", "1.0", "1.1"]
