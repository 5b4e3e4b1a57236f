"""What no integer program can have is told of the untrained network, as `lower` says it later."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.integer.lower import obstacles
from quantlab.integer.lower.remedies import REMEDIES, without_operation
from tests.quantlab.integer.constructs import TutorialLeNet, quantized
from tests.quantlab.integer.lowered_constructs import LOWERED
from tests.quantlab.integer.refused_constructs import REFUSED

# What only shapes, values or an example tell.
UNSEEN = (
    "softmax over places", "part of a factor", "one divided", "divided by zero", "alpha",
    "dropout that is on", "an index", "batch", "batch mean", "batch moved", "random numbers",
    "NaN in a constant", "two inputs", "no input", "two samples", "a shuffle of rows",
    "one constant for each sample", "maximum of the batch", "places of the largest",
    "draws of Python", "draws of torch", "a branch", "a number as a result",
    "nothing as a result", "places beside values",
)  # fmt: skip


@pytest.mark.parametrize("name", LOWERED)
def test_what_is_lowered_has_none(name: str) -> None:
    assert obstacles(quantized(LOWERED[name]())) == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_one(name: str) -> None:
    lines = obstacles(quantized(REFUSED[name][0]()))
    assert len(lines) == (name not in UNSEEN)


STE = {"kind": "ste", "num_bits": 8}


@pytest.mark.parametrize(
    ("weight", "on_input", "wanted"),
    [
        (STE, STE, []),
        (STE, {"kind": "ste", "num_bits": 16, "signed": True}, []),
        (
            {"kind": "dorefa", "num_bits": 8},
            STE,
            [
                f"layer '{name}': weights of codes from -255 to 255, -128 to 127 allowed; fewer "
                "bits (num_bits of its rule) make them fit"
                for name in ("conv1", "fc1")
            ],
        ),
        (
            STE,
            {"kind": "ste", "num_bits": 16},
            [
                "layer 'fc1': an input of codes from 0 to 65535, 16 bits with a sign allowed; 15 "
                "bits, or signed: true, in its rule make it fit"
            ],
        ),
    ],
)
def test_codes_that_do_not_fit(
    weight: dict[str, Any], on_input: dict[str, Any], wanted: list[str]
) -> None:
    """Of quantizers that have not started, in layers whose other ones have 8 bits."""
    network = TutorialLeNet(lambda self, x: self.scores(x.flatten(1)))
    rules = [
        {"select": "conv1 | fc1", "on": "weight", "algorithm": weight},
        {"select": "!conv1 & !fc1", "on": "weight", "algorithm": STE},
        {"select": "fc1", "on": "input", "algorithm": on_input},
    ]
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    assert obstacles(network) == wanted


def test_a_layer_in_float_is_one() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 4))
    rule = {"select": "last", "on": "weight", "algorithm": STE}
    quantize(network, QuantizeConfig.model_validate({"rules": [rule]}).rules)
    network.train()
    assert obstacles(network) == [
        "layer '0': its weight has no quantizer; 8 bits or fewer allowed, by a rule"
    ]
    assert all(module.training for module in network.modules())


def test_what_takes_an_example_to_follow_is_not_judged() -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else torch.softmax(x, 1)

    assert obstacles(nn.Sequential(Branches())) == []


def test_a_function_of_an_exported_graph_has_the_remedy_of_its_name() -> None:
    for name in ("layer_norm", ".layer_norm", "layer_norm.default"):
        assert (
            without_operation(name) == f"{name} has no integer operation; {REMEDIES['LayerNorm']}"
        )
