"""TWN, binary and DoReFa: what only they do."""

from typing import Any

import pytest
import torch
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.binary import BinaryConfig
from quantlab.algorithms.conductor import Conductor
from quantlab.algorithms.dorefa import DorefaConfig
from quantlab.algorithms.dorefa_sym import DorefaSymConfig
from quantlab.algorithms.ternary import TernaryConfig
from quantlab.errors import UsageError


def test_twn_of_the_paper() -> None:
    weight = torch.tensor([[1.0, -0.6, 0.2, -0.2], [0.0, 0.0, 0.0, 0.0]])
    quantizer = TernaryConfig().quantizer("weight", weight)
    quantizer.set_enabled(True)
    # D = 0.7 * 0.5 = 0.35, a = (1 + 0.6) / 2
    torch.testing.assert_close(quantizer(weight)[0], torch.tensor([0.8, -0.8, 0.0, 0.0]))
    assert not quantizer(weight)[1].any()
    assert torch.equal(quantizer.codes(weight)[0], torch.tensor([1, -1, 0, 0], dtype=torch.int32))


def test_binary_has_no_zero() -> None:
    weight = torch.tensor([[0.5, -0.25, 0.0]])
    quantizer = BinaryConfig().quantizer("weight", weight)
    quantizer.set_enabled(True)
    assert quantizer(weight).tolist() == [[0.25, -0.25, 0.25]]
    assert tuple(quantizer.spec.codes) == (-1, 1)


def test_dorefa_of_the_paper() -> None:
    weight = torch.tensor([[2.0, 0.1, -0.1, -2.0]])
    quantizer = DorefaConfig(num_bits=2, keep_range=False).quantizer("weight", weight)
    quantizer.set_enabled(True)
    third = torch.tensor(1 / 3)
    torch.testing.assert_close(
        quantizer(weight), torch.stack([torch.tensor(1.0), third, -third, torch.tensor(-1.0)])[None]
    )
    kept = DorefaConfig(num_bits=2).quantizer("weight", weight)
    kept.set_enabled(True)
    torch.testing.assert_close(kept(weight), 2 * quantizer(weight))


@pytest.mark.parametrize("num_bits", [2, 3, 8])
def test_dorefa_sym_as_published(num_bits: int) -> None:
    """2 r round((t / (2 r) + 1/2) n) / n - r with t = tanh(w), r = max|t|."""
    weight = torch.randn(7, 9, dtype=torch.float64)
    quantizer = DorefaSymConfig(num_bits=num_bits).quantizer("weight", weight).double()
    quantizer.observe(weight)
    quantizer.set_enabled(True)
    n, t = 2**num_bits - 1, torch.tanh(weight)
    r = t.abs().max()
    expected = 2 * r * torch.floor((t / (2 * r) + 0.5) * n + 0.5) / n - r
    torch.testing.assert_close(quantizer(weight), expected, rtol=1e-12, atol=1e-12)
    assert {int(code) % 2 for code in quantizer.codes(weight).flatten()} == {1}


def test_dorefa_input_is_clipped() -> None:
    quantizer = DorefaConfig(num_bits=2, clip=3.0).quantizer("input", torch.empty(1, 1))
    quantizer.set_enabled(True)
    assert quantizer(torch.tensor([-1.0, 0.6, 2.4, 9.0])).tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("config", "on", "message"),
    [
        (TernaryConfig(), "input", "'twn' given for an input"),
        (DorefaSymConfig(num_bits=3), "input", "'dorefa_sym' given for an input"),
        (BinaryConfig(gradient="bireal"), "weight", "straight or xnor allowed"),
        (BinaryConfig(gradient="xnor"), "input", "straight or bireal allowed"),
        (BinaryConfig(granularity="per_tensor"), "output", "granularity: 'per_tensor' has no"),
        (DorefaConfig(num_bits=4, clip=2.0), "weight", "clip: 2 has no effect on a weight"),
        (DorefaConfig(num_bits=1, keep_range=False), "weight", "keep_range: False has no effect"),
        (DorefaConfig(num_bits=4, granularity="per_tensor"), "input", "granularity: 'per_tensor'"),
    ],
)
def test_settings_that_do_not_fit_the_tensor(config, on, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config.check(on)


def test_too_many_bits() -> None:
    with pytest.raises(UsageError, match=r"^num_bits: .* less than or equal to 8 .got 9.$"):
        DorefaConfig(num_bits=9)


@pytest.mark.parametrize("gradient", ["straight", "xnor"])
def test_a_binary_layer_that_is_called_twice_is_trained(gradient: str) -> None:
    check_called_twice({"kind": "binary", "gradient": gradient})


@pytest.mark.parametrize("kind", ["dorefa", "dorefa_sym", "ste", "twn"])
def test_a_layer_that_is_called_twice_is_trained(kind: str) -> None:
    check_called_twice({"kind": kind, **({} if kind == "twn" else {"num_bits": 3})})


def check_called_twice(algorithm: dict[str, Any]) -> None:
    """Its grid follows the weight at each call, also between the first and its backward pass."""
    layer = nn.Linear(4, 4)
    rule = {"select": "*", "on": "weight", "algorithm": {"start_epoch": 0, **algorithm}}
    network = nn.Sequential(layer, layer)
    conductor = Conductor(quantize(network, [rule]))
    for _ in conductor.steps([0]):
        network(torch.randn(3, 4)).square().mean().backward()
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.abs().max()) > 0
