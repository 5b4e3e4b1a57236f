import copy

import pytest
import torch
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate, float_copy
from quantlab.algorithms.after_training.modes import (
    evaluating,
    floating,
    quantizers,
    weight_layers,
)
from quantlab.errors import UsageError

W4 = {"kind": "ste", "num_bits": 4}


def test_evaluating_gives_each_module_its_mode_back() -> None:
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)).train()
    network[1].eval()

    def fail() -> None:
        with evaluating(network):
            assert not network.training
            assert not torch.is_grad_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [m.training for m in network.modules()] == [True, True, False]
    assert torch.is_grad_enabled()


def test_floating_gives_each_quantizer_its_stage_back(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    calibrate(network, batches)
    network[0].weight_quantizer.set_enabled(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with floating(quantizers(network).values()):
        assert {q.stage for q in quantizers(network).values()} == {"float"}
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [q.stage for q in quantizers(network).values()] == ["float"] + 5 * ["fake-quantized"]


def test_float_copy_computes_without_quantizers(network, batches, rules, new_network) -> None:
    quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    calibrate(network, batches)
    made = float_copy(network)
    x, _ = batches[0]
    assert torch.equal(made(x), new_network()(x))
    assert not torch.equal(network(x), made(x))
    assert not {id(p) for p in made.parameters()} & {id(p) for p in network.parameters()}


def test_weight_layers(network, batches, rules) -> None:
    with pytest.raises(UsageError, match="no weight has a quantizer"):
        weight_layers(network)
    quantize(network, rules(("!first", "weight", W4), ("*", "input", W4)))
    with pytest.raises(UsageError, match=r"^2\.weight_quantizer: in the float stage; calibrate"):
        weight_layers(network)
    calibrate(network, batches)
    assert list(weight_layers(network)) == ["2", "4"]


def test_a_shared_weight_is_refused(rules) -> None:
    layer = nn.Linear(3, 3)
    other = copy.deepcopy(layer)
    other.weight = layer.weight
    network = nn.Sequential(layer, other)
    quantize(network, rules(("*", "weight", W4)))
    calibrate(network, [torch.randn(4, 3)])
    with pytest.raises(UsageError, match=r"^1: the weight of '0' given, one of its own allowed"):
        weight_layers(network)
