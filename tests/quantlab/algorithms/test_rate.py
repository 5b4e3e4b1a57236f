"""The rate term: bits are the entropy, the gradient is the formula's, nothing waits or depends on
the order of sums."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.dorefa import DorefaWeightQuantizer
from quantlab.algorithms.rate import (
    code_bits,
    level_places,
    num_quantized,
    quantized_weights,
    rate_of,
    shared_counts,
)
from quantlab.controller import Alone, Context, Controller
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases import CASES
from tests.waiting import no_waiting

SETTINGS: dict[str, dict[str, Any]] = {
    **{name: case.config_for("weight") for name, case in CASES.items() if "weight" in case.targets},
    "lsq in groups": {"kind": "lsq", "num_bits": 4, "granularity": "per_group:2"},
    "ste of 8 bits": {"kind": "ste", "num_bits": 8, "granularity": "per_tensor"},
}
family = pytest.mark.parametrize("setting", SETTINGS)
STARTED = 9


def start(controllers: list[Controller]) -> None:
    context = Context(
        epoch=STARTED, step=STARTED, optimizer=None, communicator=Alone(),
        generator=torch.Generator(),
    )  # fmt: skip
    for controller in controllers:
        controller.on_epoch_start(context)


def layer_of(setting: str) -> nn.Conv2d:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 1)
    rule = {"select": "*", "on": "weight", "algorithm": SETTINGS[setting]}
    start(quantize(nn.Sequential(layer), [rule]))
    return layer


def quantizer_of(layer: nn.Module) -> Quantizer:
    quantizer = layer.get_submodule("weight_quantizer")
    assert isinstance(quantizer, Quantizer)
    return quantizer


def entropy_bits(codes: NDArray[Any]) -> float:
    counts = np.unique(codes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / codes.size)).sum())


def shared_bits(v: NDArray[np.float64], levels: NDArray[np.float64]) -> float:
    """The formula, with a hat for each level."""
    counts = np.array([np.interp(v, levels, hat).sum() for hat in np.eye(len(levels))])
    nats = np.where(counts >= 1, -counts * np.log(counts.clip(1)), counts - counts**2)
    return float(v.size * math.log2(v.size) + nats.sum() / math.log(2))


@family
def test_the_bits_of_codes_are_their_entropy(setting: str) -> None:
    layer = layer_of(setting)
    quantizer = quantizer_of(layer)
    with torch.no_grad():
        codes = quantizer.codes(layer.weight)
        layer.weight.copy_(quantizer.dequantize(codes))
        if isinstance(quantizer, DorefaWeightQuantizer) and quantizer.num_steps > 1:
            layer.weight.copy_(torch.atanh(codes / quantizer.num_steps * quantizer.widest))
    assert torch.equal(quantizer.codes(layer.weight), codes)
    assert float(rate_of(layer).detach()) == pytest.approx(entropy_bits(codes.numpy()), rel=1e-4)


def test_the_bits_of_integers_are_exact() -> None:
    quantizer = quantizer_of(layer_of("ste of 8 bits"))
    quantizer.scale.fill_(0.25)
    codes = torch.randint(-9, 10, (7, 11)).double()
    found = float(code_bits(codes * 0.25, quantizer))
    assert found == pytest.approx(entropy_bits(codes.numpy()), rel=1e-13)


@family
def test_the_bits_are_the_formula(setting: str) -> None:
    layer = layer_of(setting)
    quantizer, weight = quantizer_of(layer), layer.weight.detach().double()
    levels = np.array(quantizer.spec.codes, dtype=np.float64)
    expected = shared_bits(quantizer.positions(weight).flatten().numpy(), levels)
    assert float(code_bits(weight, quantizer)) == pytest.approx(expected, rel=1e-9)
    assert float(code_bits(weight.float(), quantizer)) == pytest.approx(expected, rel=1e-4)


@family
def test_the_gradient_is_that_of_the_bits(setting: str) -> None:
    layer = layer_of(setting)
    quantizer = quantizer_of(layer)
    quantizer.set_observing(False)
    weight = layer.weight.detach().double()
    weight += 0.01 * torch.randn_like(weight)  # as some algorithms put all on the grid
    places = level_places(quantizer.positions(weight), quantizer.spec.codes).reshape(weight.shape)
    is_smooth = (places - places.round()).abs() > 1e-3  # the bits have kinks at the levels
    assert is_smooth.sum() > 6

    def bits(w: Tensor) -> Tensor:
        return code_bits(torch.where(is_smooth, w, weight), quantizer)

    assert torch.autograd.gradcheck(bits, weight.clone().requires_grad_())


@pytest.mark.parametrize(("setting", "axes"), [("ste", (1, 2, 3)), ("ste of 8 bits", (0, 1, 2, 3))])
def test_scales_that_follow_leave_no_gradient_along_the_weight(
    setting: str, axes: tuple[int, ...]
) -> None:
    layer = layer_of(setting)
    quantizer, weight = quantizer_of(layer), layer.weight
    assert quantizer.is_observing
    bits = code_bits(weight, quantizer)
    (found,) = torch.autograd.grad(bits, weight)
    quantizer.set_observing(False)
    fixed = code_bits(weight, quantizer)
    assert torch.equal(bits, fixed)
    (whole,) = torch.autograd.grad(fixed, weight)
    w = weight.detach()
    along = (whole * w).sum(axes, keepdim=True) / w.square().sum(axes, keepdim=True)
    assert along.abs().max() > 10
    torch.testing.assert_close(found, whole - along * w, rtol=1e-3, atol=1e-2)


def test_a_weight_of_zeros_has_a_finite_gradient() -> None:
    layer = layer_of("ste")
    with torch.no_grad():
        layer.weight[0] = 0.0
    rate_of(layer).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


def test_the_gradient_moves_to_the_likelier_neighbor() -> None:
    quantizer = quantizer_of(layer_of("ste of 8 bits"))
    quantizer.scale.fill_(0.5)
    quantizer.set_observing(False)
    v = torch.tensor([0.0] * 50 + [1.0] * 10 + [0.7, -0.3, 1.4, 5.5, 300.0, -300.0])
    weight = (0.5 * v).requires_grad_()
    code_bits(weight, quantizer).backward()
    assert weight.grad is not None
    signs = weight.grad[60:].sign().tolist()
    assert signs == [1, -1, 1, 0, 0, 0]  # of 5.5 both neighbors are as likely
    counts = {k: float(torch.relu(1 - (v - k).abs()).sum()) for k in (0, 1)}
    expected = 2 * math.log2(counts[0] / counts[1])
    assert float(weight.grad[60]) == pytest.approx(expected, rel=1e-5)


def test_unstarted_quantizers_add_nothing() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Linear(3, 3))
    late = {"kind": "lsq", "num_bits": 3, "start_epoch": STARTED + 2}
    controllers = quantize(network, [
        {"select": "0", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 3}},
        {"select": "2", "on": "weight", "algorithm": late},
        {"select": "2", "on": "input", "algorithm": late},
    ])  # fmt: skip
    assert float(rate_of(network)) == 0
    assert num_quantized(network) == 4 * 2 * 9 + 4 * 4 * 9
    start(controllers)
    first, second = quantized_weights(network)
    assert (first.parameter, second.parameter) == (network[0].weight, network[2].weight)
    assert torch.equal(rate_of(network), code_bits(first.parameter, first.quantizer))
    assert float(rate_of(nn.Linear(2, 2))) == 0


def test_a_shared_weight_counts_once() -> None:
    layer = layer_of("ste of 8 bits")
    twin = layer_of("ste of 8 bits")
    twin.weight = layer.weight
    assert torch.equal(rate_of(nn.Sequential(layer, twin)), rate_of(layer))


def test_scales_learn_nothing_from_it() -> None:
    layer = layer_of("lsq")
    rate_of(layer).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()
    assert quantizer_of(layer).get_parameter("step_size").grad is None


@family
def test_it_does_not_wait(setting: str) -> None:
    layer = layer_of(setting)
    rate_of(layer)  # as the forward pass does, it reads what the start has written
    with no_waiting(), torch.autocast("cpu", torch.bfloat16):
        rate_of(layer).backward()
    assert layer.weight.grad is not None


def test_sums_are_the_same_in_any_order() -> None:
    shares = torch.rand(64, 700)
    below = torch.randint(0, 15, shares.shape)
    order = torch.randperm(shares.numel())
    flat = shared_counts(below.flatten()[order], shares.flatten()[order], 16)
    assert torch.equal(shared_counts(below, shares, 16), flat)
    assert float(flat.sum()) == shares.numel()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_does_no_harm(number: float) -> None:
    layer = layer_of("ste of 8 bits")
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = number
    assert math.isfinite(float(rate_of(layer).detach()))


def test_places_among_levels() -> None:
    v = torch.tensor([-9.0, -3.0, -2.0, 0.0, 0.5, 3.0, 4.0, 9.0])
    even = level_places(v, (-3, -1, 1, 3))
    assert even.tolist() == [0, 0, 0.5, 1.5, 1.75, 3, 3, 3]
    powers = level_places(v, (-4, -2, -1, 1, 2, 4))
    assert powers.tolist() == [0, 0.5, 1, 2.5, 2.75, 4.5, 5, 5]


def test_halves_have_the_bits_of_floats() -> None:
    layer = layer_of("ste of 8 bits")
    weight: Tensor = layer.weight.detach().bfloat16().requires_grad_()
    bits = code_bits(weight, quantizer_of(layer))
    bits.backward()
    assert bits.dtype == torch.float32
    assert torch.equal(bits, code_bits(weight.detach().float(), quantizer_of(layer)))
