"""What every algorithm must do. A new one adds its cases, with formulas in NumPy."""

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import ALGORITHMS, QuantizeConfig, quantize
from quantlab.algorithms.layers import Target, carries
from quantlab.controller import Controller
from quantlab.quantizer import COMPILE_OPTIONS, Quantizer
from tests.quantlab.algorithms.cases import CASES
from tests.rank_threads import on_ranks

PAIRS = [(name, on) for name, case in CASES.items() for on in case.targets]
family = pytest.mark.parametrize(("case", "on"), PAIRS)


STOPS = (1, 3, 4, 6, 8)  # steps of 12 in 3 epochs


@dataclass(frozen=True, kw_only=True)
class Run:
    """A network with one algorithm on all layers, trained until it is well under way.

    states: those of the network and of each controller after so many steps.
    """

    network: nn.Module
    controllers: list[Controller]
    states: dict[int, tuple[dict[str, Tensor], list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def train_anew(new_network, new_batches, train, rules) -> Callable[[str, Target], Run]:
    def train_anew(case: str, on: Target) -> Run:
        network = new_network()
        controllers = quantize(network, rules(("*", on, CASES[case].config_for(on))))
        run = Run(network=network, controllers=controllers, states={})

        def keep(step: int) -> None:
            if step in STOPS:
                states = network.state_dict(), [c.state_dict() for c in controllers]
                run.states[step] = copy.deepcopy(states)

        train(network, controllers, new_batches(), epochs=3, after_step=keep)
        return run

    return train_anew


@pytest.fixture(scope="module")
def run(train_anew) -> Callable[[str, Target], Run]:
    """Copies of what is trained once."""
    trained = functools.cache(train_anew)

    def run(case: str, on: Target) -> Run:
        with torch.random.fork_rng():  # whether or not it is the first call
            return copy.deepcopy(trained(case, on))

    return run


@pytest.fixture(scope="module")
def started(run) -> Callable[[str, Target], nn.Module]:
    return lambda case, on: run(case, on).network


def quantizers(network: nn.Module) -> dict[str, Quantizer]:
    return {name: m for name, m in network.named_modules() if isinstance(m, Quantizer)}


def samples(network: nn.Module, on: Target, dtype: torch.dtype) -> list[tuple[Quantizer, Tensor]]:
    """Each quantizer with numbers within and beyond its range, in a shape that it may see."""
    found: list[tuple[Quantizer, Tensor]] = []
    generator = torch.Generator().manual_seed(7)
    for layer in network.modules():
        if on in carries(layer):
            q = carries(layer)[on]
            shape = layer.get_parameter("weight").shape if on == "weight" else (4, 5, 6, 7)
            spread = q.scale.detach().double() * max(abs(q.quant_min), q.quant_max) * 0.8
            x = torch.randn(shape, generator=generator, dtype=torch.float64) * spread
            found.append((q, x.to(dtype)))
    return found


def test_every_algorithm_has_a_case() -> None:
    assert {case.config["kind"] for case in CASES.values()} == set(ALGORITHMS)


@family
def test_forward_is_the_formula(started, case: str, on: Target) -> None:
    for q, x in samples(started(case, on).double().train(), on, torch.float64):
        assert q.stage == "fake-quantized"
        q.set_observing(False)
        np.testing.assert_allclose(
            q(x).detach().numpy(), CASES[case].forward(x.numpy(), q), rtol=1e-14, atol=1e-15
        )


@family
def test_gradients_are_the_formulas(started, case: str, on: Target) -> None:
    has_zeros = has_others = False
    for q, x in samples(started(case, on).double().train(), on, torch.float64):
        q.set_observing(False)
        x.requires_grad_()
        q.zero_grad()
        grad = torch.randn(x.shape, dtype=torch.float64)
        q(x).backward(grad)
        assert x.grad is not None
        wanted = CASES[case].gradient(x.detach().numpy(), q, grad.numpy())
        np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-10, atol=1e-13)
        has_zeros |= bool((x.grad == 0).any())
        has_others |= bool((x.grad != 0).any())
        found = {name: p.grad for name, p in q.named_parameters()}
        slopes = CASES[case].parameter_gradients(x.detach().numpy(), q, grad.numpy())
        assert set(found) == set(slopes)
        for name, slope in slopes.items():
            assert found[name] is not None, name
            np.testing.assert_allclose(
                found[name].numpy(), slope, rtol=1e-9, atol=1e-12, err_msg=name
            )
    assert has_zeros or not CASES[case].is_clipping
    assert has_others == CASES[case].is_learning


@family
def test_everything_learned_moves(run, batches, train, case: str, on: Target) -> None:
    network = (one := run(case, on)).network
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    train(network, one.controllers, batches, epochs=5, first_step=3 * len(batches))
    for name, parameter in network.named_parameters():
        is_fixed = not CASES[case].is_learning and name.endswith("weight")
        assert torch.equal(parameter, before[name]) == is_fixed, name


@family
def test_codes_survive_the_way_back(started, case: str, on: Target) -> None:
    if CASES[case].config["kind"].startswith("dorefa") and not CASES[case].is_projection:
        return  # weights are squashed first, those of the grid too: see the algorithm
    for q in quantizers(started(case, on).eval()).values():
        codes = torch.tensor(list(q.spec.codes), dtype=torch.int32)
        codes = codes.reshape(-1, *[1] * q.scale.ndim).expand(-1, *q.scale_shape)
        for row in codes:
            assert torch.equal(q.codes(q.dequantize(row)), row)


@family
def test_forward_is_its_codes_and_idempotent(started, case: str, on: Target) -> None:
    for q, x in samples(started(case, on).eval(), on, torch.float32):
        y = q(x)
        if CASES[case].is_projection:
            assert torch.equal(q.dequantize(q.codes(x)), y)
            assert torch.equal(q(y), y)
        assert q.codes(x).dtype == torch.int32
        assert set(q.codes(x).unique().tolist()) <= set(q.spec.codes)


@family
def test_autocast_and_half_precision_leave_codes(started, case: str, on: Target) -> None:
    for q, x in samples(started(case, on).eval(), on, torch.float32):
        y = q(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(q(x), y)
            half = q(x.bfloat16())
        assert half.dtype == torch.bfloat16
        assert torch.equal(half, q(x.bfloat16().float()).bfloat16())
        assert torch.equal(q.codes(half), q.codes(x.bfloat16()))


def near_ties(case: str, q: Quantizer, shape: torch.Size) -> Tensor:
    """Numbers on each tie between two levels and a few ulp beside it, for all scales at once."""
    ties = torch.tensor(CASES[case].ties(q), dtype=torch.float32)
    scale = q.scale.detach() * torch.ones(shape)
    if ties.ndim == 1:
        ties = ties.reshape(-1, *[1] * len(shape))
    x = (ties - q.zero_point) * scale
    beside = [x]
    for end in (-torch.inf, torch.inf):
        y = x
        for _ in range(3):
            y = torch.nextafter(y, torch.full_like(y, end))
            beside.append(y)
    return torch.stack(beside).flatten(0, 1)


def loss(q: Quantizer, x: Tensor, slopes: Tensor) -> Tensor:
    return (q(2.0 * x) * slopes).sum()


@pytest.fixture(scope="module")
def compiled_loss() -> Iterator[Callable[[Quantizer, Tensor, Tensor], Tensor]]:
    """Compiled once for all quantizers that differ in numbers only."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(recompile_limit=len(PAIRS) * 2):
        yield torch.compile(
            loss, fullgraph=True, dynamic=False, backend="aot_eager_decomp_partition"
        )
    torch.compiler.reset()


@family
# Dynamo makes an instance of each Function, the partitioner imports deprecated parts of torch.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_gradients_are_those_of_the_formulas(
    started, compiled_loss, case: str, on: Target
) -> None:
    """A compiler may compute again in the backward pass what the forward pass has overwritten."""
    for q, x in samples(started(case, on).double().train(), on, torch.float64)[:2]:
        q.set_observing(False)
        leaves = {"x": x.requires_grad_(), **dict(q.named_parameters())}
        slopes = torch.linspace(-1.0, 1.0, x.numel(), dtype=torch.float64).reshape(x.shape)
        wanted, found = (
            torch.autograd.grad(function(q, x, slopes), list(leaves.values()), allow_unused=True)
            for function in (loss, compiled_loss)
        )
        for name, one, other in zip(leaves, wanted, found, strict=True):
            assert other is not None, name
            torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-13)


@family
@pytest.mark.long
# Inductor itself imports deprecated parts of torch.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_compiled_leaves_every_level(started, case: str, on: Target) -> None:
    for q, x in samples(started(case, on).eval(), on, torch.float32)[:2]:
        torch.compiler.reset()
        compiled = torch.compile(q, fullgraph=True, options=dict(COMPILE_OPTIONS))
        for sample in (x, *near_ties(case, q, x.shape)):
            with torch.no_grad():
                assert torch.equal(compiled(sample), q(sample))


@family
def test_two_ranks_hold_the_same_and_equal_one_with_twice_the_batch(
    new_network, batches, train, rules, case: str, on: Target
) -> None:
    config = CASES[case].config_for(on)
    if on != "weight" and "observer" in ALGORITHMS[config["kind"]].model_fields:
        # Averages of the batches' ends depend on how samples are shared out.
        config = {**config, "observer": "minmax"}

    template = new_network().double()

    def states(communicator: Any) -> dict[str, Tensor]:
        network = copy.deepcopy(template)
        controllers = quantize(network, rules(("*", on, config)))
        rank, size = communicator.rank, communicator.size
        share = [(x.double().chunk(size)[rank], y.chunk(size)[rank]) for x, y in batches]
        train(network, controllers, share, epochs=3, communicator=communicator)
        return network.state_dict()

    (alone,) = on_ranks(1, states)
    one, two = on_ranks(2, states)
    for name, value in one.items():
        if "observer" not in name:  # each rank has seen its own share
            assert torch.equal(value, two[name]), name
            torch.testing.assert_close(value, alone[name], rtol=1e-7, atol=1e-9, msg=name)


@family
def test_state_round_trip(started, new_network, rules, case: str, on: Target) -> None:
    network = started(case, on)
    other = new_network()
    quantize(other, rules(("*", on, CASES[case].config_for(on))))
    other.load_state_dict(network.state_dict(), strict=True)
    for (_, one), (_, two) in zip(
        quantizers(network).items(), quantizers(other).items(), strict=True
    ):
        assert (one.spec, one.stage, one.is_observing) == (two.spec, two.stage, two.is_observing)
    x = torch.randn(3, 2, 6, 6)
    assert torch.equal(network.eval()(x), other.eval()(x))


@family
def test_same_run_same_bytes(started, train_anew, case: str, on: Target) -> None:
    one, two = started(case, on).state_dict(), train_anew(case, on).network.state_dict()
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


@family
def test_resumed_run_has_the_same_bytes(
    run, new_network, batches, train, rules, case: str, on: Target
) -> None:
    whole = run(case, on)
    assert tuple(whole.states) == STOPS
    for stop, (network_state, states) in whole.states.items():
        again = new_network()
        controllers = quantize(again, rules(("*", on, CASES[case].config_for(on))))
        again.load_state_dict(network_state)
        for controller, state in zip(controllers, states, strict=True):
            controller.load_state_dict(state)
        train(again, controllers, batches, epochs=3, first_step=stop)
        for name, value in again.state_dict().items():
            assert torch.equal(value, whole.network.state_dict()[name]), (stop, name)


@family
def test_evaluation_changes_nothing(started, case: str, on: Target) -> None:
    network = started(case, on).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(100 * torch.randn(3, 2, 6, 6))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@family
def test_is_float_until_told(new_network, rules, case: str, on: Target) -> None:
    network, plain = new_network(), new_network()
    quantize(network, rules(("*", on, CASES[case].config_for(on))))
    x = torch.randn(3, 2, 6, 6)
    assert {q.stage for q in quantizers(network).values()} == {"float"}
    assert torch.equal(network(x), plain(x))


@family
def test_config_round_trip(case: str, on: Target) -> None:
    rule = {"select": "*", "on": on, "algorithm": CASES[case].config_for(on)}
    config = QuantizeConfig.model_validate({"rules": [rule]})
    assert QuantizeConfig.model_validate(config.model_dump(mode="json")) == config
    assert config.rules[0].algorithm.model_dump()["kind"] == CASES[case].config["kind"]


@family
def test_controller_describes_every_epoch_in_a_line(
    new_network, rules, case: str, on: Target
) -> None:
    (controller,) = quantize(new_network(), rules(("*", on, CASES[case].config_for(on))))
    for epoch in range(4):
        line = controller.describe(epoch)
        assert line.startswith(CASES[case].config["kind"])
        assert "\n" not in line
