import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.channels.constants import constants_of
from quantlab.compression.channels.follow import channels_of
from quantlab.graphs.shapes import evaluating
from quantlab.graphs.trace import trace

NAN = math.nan


def constants(network: nn.Module, *shape: int) -> dict[str, list[float]]:
    """Return of each tensor of channels the constants, NaN for those that are none."""
    gm = trace(network.double().eval(), torch.randn(2, *shape).double())
    with evaluating(gm):
        found = constants_of(gm, channels_of(gm))
    return {
        node.name: [
            value if known else NAN
            for value, known in zip(one.values.tolist(), one.is_known.tolist(), strict=True)
        ]
        for node, one in found.items()
    }


def filled(layer: Any, bias: list[float], dead: list[int]) -> nn.Module:
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(bias))
        layer.weight[dead] = 0
    return layer


def same(made: list[float], expected: list[float]) -> bool:
    return torch.allclose(torch.tensor(made), torch.tensor(expected), equal_nan=True)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.ReLU(), [0.0, 2.0, NAN]),
        (nn.Sigmoid(), [1 / (1 + math.e), 1 / (1 + math.exp(-2)), NAN]),
        (nn.MaxPool2d(3, 1, 1), [-1.0, 2.0, NAN]),
        (nn.AvgPool2d(2), [-1.0, 2.0, NAN]),
        (nn.AvgPool2d(3, 1, 1), [NAN, NAN, NAN]),
        (nn.AvgPool2d(3, 1, 1, count_include_pad=False), [-1.0, 2.0, NAN]),
        (nn.ZeroPad2d(1), [NAN, NAN, NAN]),
        (nn.ConstantPad2d(1, 2.0), [NAN, 2.0, NAN]),
        (nn.Dropout(0.5), [-1.0, 2.0, NAN]),
        (nn.Softmax(1), None),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_modules_make_of_constants(module: nn.Module, expected: list[float] | None) -> None:
    first = filled(nn.Conv2d(2, 3, 1), [-1.0, 2.0, 3.0], [0, 1])
    found = constants(nn.Sequential(first, module, nn.Conv2d(3, 2, 1)), 2, 6, 6)
    if expected is None:
        assert "_1" not in found
    else:
        assert same(found["_1"], expected)


def test_a_layer_of_constants_makes_constants() -> None:
    first = filled(nn.Linear(2, 3), [1.0, 2.0, 3.0], [0, 1])
    second = filled(nn.Linear(3, 2), [0.5, 0.5], [])
    with torch.no_grad():
        second.weight.copy_(torch.tensor([[2.0, 3.0, 0.0], [2.0, 3.0, 1.0]]))
    assert same(constants(nn.Sequential(first, second, nn.Linear(2, 2)), 2)["_1"], [8.5, NAN])


@pytest.mark.parametrize(("padding", "expected"), [(0, 11.0), (1, NAN)])
def test_a_border_of_zeros_makes_constants_differ(padding: int, expected: float) -> None:
    first = filled(nn.Conv2d(2, 1, 1), [2.0], [0])
    second = filled(nn.Conv2d(1, 1, 3, padding=padding), [2.0], [])
    torch.nn.init.constant_(second.weight, 0.5)
    assert same(
        constants(nn.Sequential(first, second, nn.Conv2d(1, 1, 1)), 2, 5, 5)["_1"], [expected]
    )


def test_a_batch_norm_of_a_constant_is_one() -> None:
    first = filled(nn.Conv2d(2, 2, 1), [5.0, 1.0], [0])
    norm = nn.BatchNorm2d(2, eps=0)
    with torch.no_grad():
        norm.running_mean[0], norm.running_var[0] = 1.0, 4.0
        norm.weight[0], norm.bias[0] = 3.0, 7.0
    found = constants(nn.Sequential(first, norm, nn.Conv2d(2, 2, 1)), 2, 3, 3)
    assert same(found["_1"], [13.0, NAN])


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = filled(nn.Conv2d(2, 3, 1), [0.0, 2.0, 0.0], [0, 1])
        self.b = filled(nn.Conv2d(2, 3, 1), [1.0, 3.0, 1.0], [1, 2])
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        return self.last(torch.cat([a + b, a * b], 1))


def test_sums_products_and_concatenations_of_constants() -> None:
    found = constants(Joined(), 2, 3, 3)
    assert same(found["add"], [NAN, 5.0, NAN])
    assert same(found["multiply"], [0.0, 6.0, NAN])
    assert same(found["concat"], [NAN, 5.0, NAN, 0.0, 6.0, NAN])


def test_outputs_of_the_network_do_not_count() -> None:
    first = filled(nn.Linear(2, 3), [1.0, 2.0, 3.0], [0])
    assert same(constants(nn.Sequential(first, nn.ReLU()), 2)["_1"], [NAN] * 3)
