"""Rules about the outputs of layers without weights."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError
from quantlab.graphs.modularize import modularize
from quantlab.graphs.quantizers import expose_quantizers, remove_quantizers
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer

ALGORITHM = {"kind": "ste", "num_bits": 3, "start_epoch": 0}


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.relu(self.conv(x)) + x
        return total


def rule(select: str, on: str = "output") -> dict[str, Any]:
    return {"select": select, "on": on, "algorithm": ALGORITHM}


def quantized(select: str) -> nn.Module:
    torch.manual_seed(0)
    network = Sum()
    quantize(network, [rule("*", "weight"), rule(select)])
    calibrate(network, [torch.randn(4, 2, 3, 3)])
    return network.eval()


def num_levels(x: Tensor) -> int:
    return int(x.unique().numel())


def test_an_activation_gives_its_output_on_the_grid() -> None:
    network, x = quantized("type:ReLU"), torch.randn(4, 2, 3, 3)
    relu = network.get_submodule("relu")
    assert type(relu) is nn.ReLU
    assert list(carries(relu)) == ["output"]
    assert num_levels(relu(x)) <= 8 < num_levels(x)
    quantizer = relu.get_submodule("output_quantizer")
    assert isinstance(quantizer, Quantizer)
    assert torch.equal(relu(x), quantizer(x.relu()))


def test_copies_and_states_keep_the_quantizer() -> None:
    network, x = quantized("type:ReLU"), torch.randn(4, 2, 3, 3)
    again = copy.deepcopy(network)
    assert torch.equal(again(x), network(x))
    ours, theirs = (n.get_submodule("relu.output_quantizer") for n in (network, again))
    assert ours is not theirs
    other = Sum()
    quantize(other, [rule("*", "weight"), rule("relu")])
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.eval()(x), network(x))


def test_graphs_apply_it_once_exposed_or_not() -> None:
    network, x = quantized("relu"), torch.randn(4, 2, 3, 3)
    wanted = network(x)
    gm = trace(network)
    assert torch.equal(gm(x), wanted)
    expose_quantizers(gm)
    assert [str(node.target) for node in gm.graph.nodes].count("relu.output_quantizer") == 1
    assert torch.equal(gm(x), wanted)
    remove_quantizers(gm)
    assert num_levels(gm(x) - x) > 8


def test_sums_that_are_modules_have_rules_too() -> None:
    gm = trace(Sum())
    modularize(gm)
    (name,) = (str(n.target) for n in gm.graph.nodes if n.name == "add")
    quantize(gm, [rule(name)])
    x = torch.randn(4, 2, 3, 3)
    calibrate(gm, [x])
    assert num_levels(gm.eval()(x)) <= 8


def test_layers_with_weights_come_first() -> None:
    """A selector that they alone make true is about them alone."""
    network = Sum()
    quantize(network, [rule("*")])
    assert list(carries(network.conv)) == ["output"]
    assert not carries(network.relu)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([rule("type:ReLU", "weight")], "select: 'type:ReLU' matches no layer among conv"),
        ([rule("type:ReLU", "input")], "select: 'type:ReLU' matches no layer among conv"),
        ([rule("add")], "select: 'add' matches no layer among conv, relu"),
        ([rule("relu"), rule("type:ReLU")], "output of 'relu' given, which quantize.rules.0"),
    ],
)
def test_what_cannot_be(rules: list[dict[str, Any]], message: str) -> None:
    network = Sum()
    with pytest.raises(UsageError, match=message):
        quantize(network, rules)
    assert not any(isinstance(module, Quantizer) for module in network.modules())
