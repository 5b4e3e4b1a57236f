"""What every algorithm must do. A new one adds its case, with formulas in NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.algorithms import ALGORITHMS, QuantizeConfig, quantize
from quantlab.algorithms.layers import TARGETS, Target
from quantlab.quantizer import COMPILE_OPTIONS, Quantizer

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Case:
    """forward, gradient: of an array x, its quantizer and the gradient of y."""

    config: dict[str, Any]
    forward: Callable[[Array, Quantizer], Array]
    gradient: Callable[[Array, Quantizer, Array], Array]
    targets: tuple[Target, ...] = TARGETS


def _steps(x: Array, quantizer: Quantizer) -> Array:
    zero_point = quantizer.zero_point.numpy()
    return np.floor(x / quantizer.scale.detach().numpy() + 0.5) + zero_point


def _ste_forward(x: Array, q: Quantizer) -> Array:
    codes = np.clip(_steps(x, q), q.spec.quant_min, q.spec.quant_max)
    return (codes - q.zero_point.numpy()) * q.scale.numpy()


def _ste_gradient(x: Array, q: Quantizer, grad: Array) -> Array:
    steps = _steps(x, q)
    return grad * ((steps >= q.spec.quant_min) & (steps <= q.spec.quant_max))


CASES = {
    "ste": Case(
        config={"kind": "ste", "num_bits": 4},
        forward=_ste_forward,
        gradient=_ste_gradient,
    ),
}
PAIRS = [(kind, on) for kind, case in CASES.items() for on in case.targets]
family = pytest.mark.parametrize(("kind", "on"), PAIRS)


@pytest.fixture
def started(new_network, batches, train, rules) -> Callable[[str, Target], nn.Module]:
    """A network with one algorithm on all layers, trained until it is well under way."""

    def start(kind: str, on: Target) -> nn.Module:
        network = new_network()
        controllers = quantize(network, rules(("*", on, CASES[kind].config)))
        train(network, controllers, batches, epochs=3)
        return network

    return start


def quantizers(network: nn.Module) -> dict[str, Quantizer]:
    return {name: m for name, m in network.named_modules() if isinstance(m, Quantizer)}


def sample(q: Quantizer, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers within and beyond the range, in a shape that the scale broadcasts against."""
    shape = torch.broadcast_shapes(q.scale_shape, (4, 5, 6, 7))
    generator = torch.Generator().manual_seed(7)
    spread = q.scale.detach().double() * q.spec.quant_max
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * spread).to(dtype)


def test_every_algorithm_has_a_case() -> None:
    assert set(CASES) == set(ALGORITHMS)


@family
def test_forward_is_the_formula(started, kind: str, on: Target) -> None:
    for q in quantizers(started(kind, on).double().eval()).values():
        assert q.stage == "fake-quantized"
        if q.scale.ndim == 2:
            continue  # the linear layer's shape does not fit the sample
        x = sample(q, torch.float64)
        np.testing.assert_array_equal(
            q(x).detach().numpy(), CASES[kind].forward(x.numpy(), q), strict=True
        )


@family
def test_gradient_is_the_formula(started, kind: str, on: Target) -> None:
    for q in quantizers(started(kind, on).double().eval()).values():
        if q.scale.ndim == 2:
            continue
        x = sample(q, torch.float64).requires_grad_()
        grad = torch.randn(x.shape, dtype=torch.float64)
        q(x).backward(grad)
        assert x.grad is not None
        wanted = CASES[kind].gradient(x.detach().numpy(), q, grad.numpy())
        np.testing.assert_array_equal(x.grad.numpy(), wanted, strict=True)
        assert 0 < (x.grad != 0).float().mean() < 1


@family
def test_codes_survive_the_way_back(started, kind: str, on: Target) -> None:
    for q in quantizers(started(kind, on).eval()).values():
        codes = torch.arange(q.spec.quant_min, q.spec.quant_max + 1, dtype=torch.int32)
        codes = codes.reshape(-1, *[1] * q.scale.ndim).expand(-1, *q.scale_shape)
        for row in codes:
            x = q.dequantize(row)
            assert torch.equal(q.codes(x), row)
            assert torch.equal(q(x), x)


@family
def test_forward_is_its_codes_and_idempotent(started, kind: str, on: Target) -> None:
    network = started(kind, on).eval()
    for name, q in quantizers(network).items():
        x = network.get_parameter(name.removesuffix("_quantizer")) if on == "weight" else sample(q)
        y = q(x)
        assert torch.equal(q.dequantize(q.codes(x)), y)
        assert torch.equal(q(y), y)
        assert q.codes(x).dtype == torch.int32


@family
def test_autocast_and_half_precision_leave_codes(started, kind: str, on: Target) -> None:
    for q in quantizers(started(kind, on).eval()).values():
        if q.scale.ndim == 2:
            continue
        x = sample(q)
        y = q(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(q(x), y)
            half = q(x.bfloat16())
        assert half.dtype == torch.bfloat16
        assert torch.equal(half, q(x.bfloat16().float()).bfloat16())
        assert torch.equal(q.codes(half), q.codes(x.bfloat16()))


def near_ties(q: Quantizer) -> Tensor:
    """Numbers on each tie between two levels and a few ulp beside it, for all scales at once."""
    steps = torch.arange(q.spec.quant_min - 1, q.spec.quant_max + 1, dtype=torch.float32) + 0.5
    x = steps.reshape(-1, *[1] * max(q.scale.ndim, 1)) * q.scale.detach()
    beside = [x]
    for end in (-torch.inf, torch.inf):
        y = x
        for _ in range(3):
            y = torch.nextafter(y, torch.full_like(y, end))
            beside.append(y)
    return torch.stack(beside)


@family
@pytest.mark.long
# Inductor itself imports deprecated parts of torch.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compiled_leaves_every_level(started, kind: str, on: Target) -> None:
    for q in list(quantizers(started(kind, on).eval()).values())[:2]:
        torch.compiler.reset()
        compiled = torch.compile(q, fullgraph=True, options=dict(COMPILE_OPTIONS))
        for x in (sample(q), near_ties(q)):
            with torch.no_grad():
                assert torch.equal(compiled(x), q(x))


@family
def test_state_round_trip(started, new_network, rules, kind: str, on: Target) -> None:
    network = started(kind, on)
    other = new_network()
    quantize(other, rules(("*", on, CASES[kind].config)))
    other.load_state_dict(network.state_dict(), strict=True)
    for (_, one), (_, two) in zip(
        quantizers(network).items(), quantizers(other).items(), strict=True
    ):
        assert (one.spec, one.stage, one.is_observing) == (two.spec, two.stage, two.is_observing)
    x = torch.randn(3, 2, 6, 6)
    assert torch.equal(network.eval()(x), other.eval()(x))


@family
def test_same_run_same_bytes(started, kind: str, on: Target) -> None:
    one, two = started(kind, on).state_dict(), started(kind, on).state_dict()
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


@family
def test_resumed_run_has_the_same_bytes(
    new_network, batches, train, rules, kind: str, on: Target
) -> None:
    def new() -> tuple[nn.Module, list[Any]]:
        network = new_network()
        return network, quantize(network, rules(("*", on, CASES[kind].config)))

    network, controllers = new()
    train(network, controllers, batches, epochs=3)
    wanted = network.state_dict()
    for stop in (1, 3, 4, 6, 8):
        network, controllers = new()
        step = train(network, controllers, batches, epochs=3, num_steps=stop)
        states = [controller.state_dict() for controller in controllers]
        again, controllers = new()
        again.load_state_dict(network.state_dict())
        for controller, state in zip(controllers, states, strict=True):
            controller.load_state_dict(state)
        train(again, controllers, batches, epochs=3, first_step=step)
        for name, value in again.state_dict().items():
            assert torch.equal(value, wanted[name]), (stop, name)


@family
def test_evaluation_changes_nothing(started, kind: str, on: Target) -> None:
    network = started(kind, on).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(100 * torch.randn(3, 2, 6, 6))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@family
def test_is_float_until_told(new_network, rules, kind: str, on: Target) -> None:
    network, plain = new_network(), new_network()
    quantize(network, rules(("*", on, CASES[kind].config)))
    x = torch.randn(3, 2, 6, 6)
    assert {q.stage for q in quantizers(network).values()} == {"float"}
    assert torch.equal(network(x), plain(x))


@family
def test_config_round_trip(kind: str, on: Target) -> None:
    rule = {"select": "*", "on": on, "algorithm": CASES[kind].config}
    config = QuantizeConfig.model_validate({"rules": [rule]})
    assert QuantizeConfig.model_validate(config.model_dump(mode="json")) == config
    assert config.rules[0].algorithm.model_dump()["kind"] == kind


@family
def test_controller_describes_every_epoch_in_a_line(
    new_network, rules, kind: str, on: Target
) -> None:
    (controller,) = quantize(new_network(), rules(("*", on, CASES[kind].config)))
    for epoch in range(4):
        line = controller.describe(epoch)
        assert line.startswith(kind)
        assert "\n" not in line
