import copy
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import ALGORITHMS, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.algorithms.after_training.calibrate import Calibration
from quantlab.algorithms.layers import carries
from quantlab.errors import DivergedError, UsageError
from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases import CASES
from tests.rank_threads import on_ranks

OBSERVERS = ["minmax", "moving_average", "percentile", "mse", "kl"]
W4: dict[str, Any] = {"kind": "ste", "num_bits": 4}


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def quantizers(network: nn.Module) -> list[Quantizer]:
    return [m for m in network.modules() if isinstance(m, Quantizer)]


def test_ranges_are_those_of_the_float_network(network, batches, rules, new_network) -> None:
    quantize(
        network,
        rules(("*", "weight", W4), ("*", "input", {**W4, "num_bits": 8, "observer": "minmax"})),
    )
    report = calibrate(network, batches)
    assert (report.num_batches, report.num_samples) == (4, 32)
    x = torch.cat([inputs for inputs, _ in batches])
    with torch.no_grad():
        for index, layer in enumerate(new_network()):
            if carries(network[index]):
                low, high = x.min().item(), x.max().item()
                is_signed = low < 0
                wanted = max(high / 127, -low / 128) if is_signed else high / 255
                found = network[index].input_quantizer
                assert found.spec.signed == is_signed
                np.testing.assert_allclose(found.scale.item(), wanted, rtol=1e-6)
                widest = layer.weight.abs().flatten(1).amax(1) / 7
                scale = network[index].weight_quantizer.scale.flatten()
                np.testing.assert_allclose(scale.numpy(), widest.numpy(), rtol=1e-6)
            x = layer(x)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_eight_bits_keep_the_accuracy_with_any_observer(trained, rules, observer: str) -> None:
    network = copy.deepcopy(trained.network)
    eight = {"kind": "ste", "num_bits": 8}
    quantize(
        network, rules(("*", "weight", eight), ("*", "input", {**eight, "observer": observer}))
    )
    calibrate(network, trained.batches)
    assert all(q.stage == "fake-quantized" for q in quantizers(network))
    lost = trained.accuracy(trained.network) - trained.accuracy(network)
    assert abs(lost) <= (3.0 if observer == "kl" else 0.5)


@pytest.mark.parametrize("observer", OBSERVERS)
def test_twice_is_once(network, batches, rules, observer: str) -> None:
    quantize(network, rules(("*", "weight", W4), ("*", "input", {**W4, "observer": observer})))
    first = calibrate(network, batches)
    before = state(network)
    assert calibrate(network, batches) == first
    assert_same(state(network), before)
    calibrate(network, [100 * inputs for inputs, _ in batches])
    calibrate(network, iter(batches))
    assert_same(state(network), before)


def test_same_after_training_began(network, batches, train, rules, new_network) -> None:
    both = ("*", "weight", W4), ("*", "input", W4)
    controllers = quantize(network, rules(*both))
    train(network, controllers, batches, epochs=3)
    other = new_network()
    quantize(other, rules(*both))
    plain = {n: v for n, v in network.state_dict().items() if "quantizer" not in n}
    other.load_state_dict(plain, strict=False)
    calibrate(network, batches)
    calibrate(other, batches)
    assert_same(state(network), state(other))


@pytest.mark.parametrize("observer", ["mse", "kl"])
def test_the_best_range_is_that_of_the_sign_found(
    new_network, batches, rules, observer: str
) -> None:
    """Of inputs on both sides of zero, the grid has negative codes while the range is chosen."""
    found, told = new_network(), new_network()
    settings = {**W4, "observer": observer}
    quantize(found, rules(("first", "input", settings)))
    quantize(told, rules(("first", "input", {**settings, "signed": True})))
    calibrate(found, batches)
    calibrate(told, batches)
    assert found[0].input_quantizer.spec.signed
    assert torch.equal(found[0].input_quantizer.scale, told[0].input_quantizer.scale)


def test_nothing_but_the_quantizers_changes(batches, rules) -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(64, 3)
    )
    quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    network.train()
    network[1].eval()
    before, modes = state(network), [m.training for m in network.modules()]
    calibrate(network, batches)
    assert [m.training for m in network.modules()] == modes
    for name, value in state(network).items():
        assert "quantizer" in name or torch.equal(value, before[name]), name
    assert all(p.grad is None for p in network.parameters())


def test_training_goes_on_from_it(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    calibrate(network, batches)
    scale = network[2].input_quantizer.scale.clone()
    weight_scale = network[2].weight_quantizer.scale.clone()
    train(network, controllers, batches, epochs=2)
    assert all(q.stage == "fake-quantized" for q in quantizers(network))
    assert torch.equal(network[2].input_quantizer.scale, scale)
    assert not torch.equal(network[2].weight_quantizer.scale, weight_scale)  # it follows


@pytest.mark.parametrize("case", CASES)
def test_every_algorithm_is_quantized_or_refuses(new_network, batches, rules, case: str) -> None:
    needs_training = {"inq"}
    for on in CASES[case].targets:
        network = new_network()
        config = CASES[case].config_for(on)
        quantize(network, rules(("*", on, config)))
        if config["kind"] in needs_training:
            with pytest.raises(
                UsageError, match=r"0\.weight_quantizer: a \w+ given, which quantizes"
            ):
                calibrate(network, batches)
            assert all(q.stage == "float" for q in quantizers(network))
            continue
        calibrate(network, batches)
        network.eval()
        for layer in network:
            for q in carries(layer).values():
                x = layer.weight.detach() if on == "weight" else torch.randn(4, 3, 2, 2)
                assert torch.equal(q(x), q.dequantize(q.codes(x)))
                assert len(q.codes(x).unique()) > 1


def test_every_algorithm_was_tried() -> None:
    assert {case.config["kind"] for case in CASES.values()} == set(ALGORITHMS)


def test_quantizers_outside_of_layers_are_calibrated_too(network, batches, rules) -> None:
    quantize(network, rules(("first", "input", {**W4, "observer": "minmax"})))
    on_edge = network[0].input_quantizer
    network[0].input_quantizer = None
    calibrated = nn.Sequential(on_edge, *network)
    calibrate(calibrated, batches)
    assert on_edge.stage == "fake-quantized"
    assert on_edge.observer.maximum == max(inputs.max() for inputs, _ in batches)


@pytest.mark.parametrize("observer", ["minmax", "mse", "kl"])
def test_two_ranks_equal_one_with_all_batches(new_network, batches, rules, observer: str) -> None:
    template = new_network()

    def scales(communicator: Any) -> dict[str, Tensor]:
        network = copy.deepcopy(template)
        quantize(network, rules(("*", "weight", W4), ("*", "input", {**W4, "observer": observer})))
        mine = batches[communicator.rank :: communicator.size]
        calibrate(network, mine, communicator=communicator)
        return {n: v for n, v in network.state_dict().items() if "observer" not in n}

    (alone,) = on_ranks(1, scales)
    one, two = on_ranks(2, scales)
    assert_same(one, alone)
    assert_same(two, alone)


@pytest.mark.parametrize("observer", OBSERVERS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(network, batches, rules, observer: str, bad: float) -> None:
    quantize(network, rules(("*", "weight", W4), ("!first", "input", {**W4, "observer": observer})))
    calibrate(network, batches)
    before = state(network)
    batches[1][0][0, 0, 0, 0] = bad
    with pytest.raises(DivergedError, match=r"^2\.input_quantizer: range \["):
        calibrate(network, batches)
    assert_same(state(network), before)
    assert all(q.stage == "fake-quantized" for q in quantizers(network))


def test_a_weight_that_is_not_finite(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W4)))
    with torch.no_grad():
        network[2].weight[1, 0, 0, 0] = torch.inf
    with pytest.raises(DivergedError, match=r"^2\.weight_quantizer: weight inf given"):
        calibrate(network, batches)
    assert all(q.stage == "float" for q in quantizers(network))


def test_what_cannot_be_calibrated(network, batches, rules) -> None:
    with pytest.raises(UsageError, match="no quantizer in it"):
        calibrate(network, batches)
    quantize(network, rules(("*", "input", W4)))
    with pytest.raises(UsageError, match="batches: 0 given"):
        calibrate(network, [])
    with pytest.raises(UsageError, match=r"batches\[1\]: a str given"):
        calibrate(network, [batches[0], cast(Any, "x")])
    network.add_module("unused", copy.deepcopy(network[0]))
    network.forward = lambda x: nn.Sequential(*list(network)[:5])(x)
    with pytest.raises(UsageError, match=r"^unused\.input_quantizer: 0 batches observed"):
        calibrate(network, batches)


def test_progress_and_report(network, batches, rules) -> None:
    quantize(network, rules(("first", "weight", W4), ("first", "input", {**W4, "signed": False})))
    told: list[tuple[str, int, int | None]] = []
    report = calibrate(network, batches, progress=lambda *args: told.append(args))
    assert told == [("calibrate", count, None) for count in (1, 2, 3, 4)]
    weight, image = report.grids
    assert weight.name == "0.weight_quantizer"
    assert weight.maximum == pytest.approx(network[0].weight.abs().max().item(), rel=1e-6)
    assert weight.minimum == -weight.maximum
    assert image.minimum == 0.0
    assert str(report).splitlines()[0] == "32 samples in 4 batches observed"
    assert "0.input_quantizer: [0, " in str(report)


def test_one_is_not_several() -> None:
    report = Calibration(num_batches=1, num_samples=1, grids=(), unused=())
    assert str(report) == "1 sample in 1 batch observed"
    assert str(replace(report, num_samples=32)) == "32 samples in 1 batch observed"
