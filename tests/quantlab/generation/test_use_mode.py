"""Networks of generated layers, trained in all modes, against those whose weights are generated."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab import calibrate, quantize
from quantlab.errors import UsageError
from quantlab.generation import (
    MLGConv2d,
    MLGLinear,
    MLGSpec,
    convert,
    generate,
    orthonormality_of,
    use_mode,
)
from quantlab.generation import modes as modes_module
from quantlab.generation.layers import generated_layers
from quantlab.generation.modes import Mode
from quantlab.generation.use_mode import cheapest_mode
from quantlab.monitor import Monitor
from quantlab.monitor.weight_norm import WeightNormConfig
from tests.waiting import OnDevice

WITHOUT_WEIGHT: tuple[Mode, ...] = ("two_stage", "factored")
INPUTS = {"kind": "lsq", "num_bits": 8, "start_epoch": 0}
BATCHES = [torch.randn(4, 3, 6, 6, dtype=torch.float64) for _ in range(3)]


def network(**changes: Any) -> nn.Sequential:
    torch.manual_seed(0)
    spec = MLGSpec(base_in=2, base_out=5).model_copy(update=changes)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        MLGConv2d(6, 8, 3, padding=1, stride=2, spec=spec),
        nn.ReLU(),
        MLGConv2d(8, 8, 3, padding=1, groups=2, padding_mode="reflect", spec=spec),
        nn.ReLU(),
        MLGConv2d(8, 12, 1, spec=spec.model_copy(update={"base_out": 3})),
        nn.Flatten(),
        MLGLinear(48, 10, spec=spec.model_copy(update={"linear_block": 4})),
    ).double()


def loss_of(net: nn.Module, x: Tensor) -> Tensor:
    loss: Tensor = net(x).square().mean() + 0.05 * orthonormality_of(net)
    return loss


def trained(net: nn.Module, batches: list[Tensor]) -> dict[str, Tensor]:
    """The state after a step for each batch, and the last gradients."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for x in batches:
        optimizer.zero_grad()
        loss_of(net, x).backward()
        optimizer.step()
    gradients = {f"{n}.grad": p.grad for n, p in net.named_parameters() if p.grad is not None}
    return {**net.state_dict(), **gradients}


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread", None])
@pytest.mark.parametrize("mode", WITHOUT_WEIGHT)
def test_steps_are_those_of_the_generated_weight(mode: Mode, quantizer: str | None) -> None:
    changes: dict[str, Any] = {"quantizer": quantizer}
    if quantizer is None:
        changes = {"basis_bit": 32, "coeff_in_bit": 32, "coeff_out_bit": 32}
    usual = network(**changes)
    quantize(usual, [{"select": "type:MLG*", "on": "input", "algorithm": INPUTS}])
    calibrate(usual, BATCHES)
    other = copy.deepcopy(usual)
    use_mode(other, mode)
    wanted, found = trained(usual, BATCHES), trained(other, BATCHES)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("mode", ["generated", *WITHOUT_WEIGHT])
def test_only_one_mode_generates_weights(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    use_mode(net, mode)
    wholes: list[bool] = []

    def seen(v: Tensor | None, u: Tensor | None, b: Tensor) -> Tensor:
        wholes.append(v is not None)
        return generate(v, u, b)

    monkeypatch.setattr(modes_module, "generate", seen)
    loss_of(net, BATCHES[0]).backward()
    assert any(wholes) == (mode == "generated")


@pytest.mark.parametrize("mode", WITHOUT_WEIGHT)
@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq"])
def test_a_step_never_waits(mode: Mode, quantizer: str) -> None:
    net = network(quantizer=quantizer).float()
    use_mode(net, mode)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x in OnDevice([x.float() for x in BATCHES]):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("mode", WITHOUT_WEIGHT)
def test_autocast_is_near(mode: Mode) -> None:
    usual = network().float().eval()
    other = copy.deepcopy(usual)
    use_mode(other, mode)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted, found = usual(BATCHES[0].float()), other(BATCHES[0].float())
    assert found.dtype == wanted.dtype == torch.bfloat16
    error = ((found - wanted).float().norm() / wanted.float().norm()).item()
    assert 0 < error < 0.05


def test_monitors_and_weights_are_as_before() -> None:
    net = network()
    before = [layer.weight.detach() for _, layer in generated_layers(net)]
    use_mode(net, "factored")
    after = [layer.weight.detach() for _, layer in generated_layers(net)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    monitor = Monitor(net)
    monitor.add(WeightNormConfig(select="type:MLG*"))
    monitor.start_step(0)
    net(BATCHES[0]).mean().backward()
    assert len(list(monitor.end_step())) == 4


def test_copies_keep_it() -> None:
    net = network()
    use_mode(net, "factored")
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [layer.mode for _, layer in generated_layers(other)] == ["factored"] * 4
        assert "bits 3-6-3, dorefa_sym, factored\n" in repr(other[3])
    assert network()[3].mode == "generated"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("mode", WITHOUT_WEIGHT)
def test_compiles_whole(mode: Mode) -> None:
    net = network().float()
    use_mode(net, mode)
    layer = net[3]
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(compiled(x), layer(x))


def test_the_cheapest_follows_from_the_layer() -> None:
    spec = MLGSpec()
    chosen = {
        "generated": MLGConv2d(3, 64, 3, padding=1, spec=spec),
        "two_stage": MLGConv2d(64, 64, 3, padding=1, spec=spec),
        "factored": MLGConv2d(512, 512, 3, padding=1, spec=spec),
    }
    assert {mode: cheapest_mode(layer) for mode, layer in chosen.items()} == {
        mode: mode for mode in chosen
    }
    assert cheapest_mode(MLGConv2d(64, 64, 3, groups=64, spec=MLGSpec(base_out=4))) == "generated"
    assert cheapest_mode(MLGLinear(512, 512, spec=spec)) == "two_stage"


def test_convert_sets_it() -> None:
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.Conv2d(64, 256, 3))
    convert(net, {"mode": "auto"})
    assert [layer.mode for _, layer in generated_layers(net)] == [
        "generated",
        "two_stage",
        "two_stage",
    ]
    with pytest.raises(UsageError, match="mode"):
        convert(nn.Sequential(nn.Conv2d(8, 8, 3)), {"mode": "fused", "base_out": 4})


def test_what_there_is_not_is_refused() -> None:
    net = network()
    misspelled: Any = "factord"
    with pytest.raises(UsageError) as error:
        use_mode(net, misspelled)
    assert str(error.value) == (
        "mode: 'factord' given, generated, two_stage, factored, auto allowed; "
        "did you mean 'factored'?"
    )
    stem = nn.Sequential(network()[3], MLGConv2d(3, 64, 3, spec=MLGSpec()))
    with pytest.raises(UsageError) as error:
        use_mode(stem, "two_stage")
    assert str(error.value) == (
        "layer '1': mode: 'two_stage' given for a weight without coeff_out, generated, factored "
        "allowed"
    )
    assert stem[0].mode == "generated"
