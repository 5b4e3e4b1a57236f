"""Which layers are meant."""

import pytest
from torch import nn

from quantlab.errors import UsageError
from quantlab.monitor.subjects import (
    BATCH_NORMS,
    LAYERS_WITH_QUANTIZERS,
    LAYERS_WITH_WEIGHTS,
    choose,
    quantizers_of,
)
from tests.quantlab.monitor.small import RULES, make_network

LAYERS = {name: nn.Linear(1, 1) for name in ("a.one", "a.two", "b.one")} | {
    "b.c": nn.Conv2d(1, 1, 1)
}


def test_subjects_of_a_network() -> None:
    network, _ = make_network(RULES[1:])
    network.extra = nn.BatchNorm1d(3, affine=False)
    assert list(LAYERS_WITH_WEIGHTS.find(network)) == ["conv", "linear"]
    assert list(LAYERS_WITH_QUANTIZERS.find(network)) == ["linear"]
    assert list(BATCH_NORMS.find(network)) == ["norm"]


def test_quantizers_by_their_tensor() -> None:
    network, _ = make_network()
    assert set(quantizers_of(network.linear)) == {"weight", "input"}
    assert quantizers_of(network.linear)["input"] is network.linear.input_quantizer
    assert quantizers_of(network.relu) == {}


def test_quantizers_elsewhere_count_too() -> None:
    network, _ = make_network()
    network.relu.output_quantizer = network.linear.input_quantizer
    assert "relu" in LAYERS_WITH_QUANTIZERS.find(network)
    assert set(quantizers_of(network.relu)) == {"output"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("*", ["a.one", "a.two", "b.one", "b.c"]),
        ("a.* | last", ["a.one", "a.two", "b.c"]),
        ("type:Linear & !first", ["a.two", "b.one"]),
    ],
)
def test_choose(expression: str, names: list[str]) -> None:
    assert list(choose(expression, LAYERS, "layers")) == names


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("c.one", "select: 'c.one' matches none of the layers: a.one, a.two, b.one, b.c"),
        ("* & !a.tow", "select: 'a.tow' matches none of .*; did you mean 'a.two'?"),
        ("type:Linaer", "select: 'type:Linaer' matches none .*; did you mean 'Linear'?"),
        ("first & last", "select: 'first & last' matches none of the layers: a.one"),
    ],
)
def test_what_matches_nothing(expression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        choose(expression, LAYERS, "layers")


def test_long_lists_are_cut() -> None:
    many = {f"layer{i}": nn.Linear(1, 1) for i in range(12)}
    with pytest.raises(UsageError, match=r"layer7 and 4 more"):
        choose("x", many, "layers")
