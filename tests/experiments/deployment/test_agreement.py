from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.deployment.agreement import Agreement, agreement
from experiments.deployment.tally import Tally
from problems.images.meter import ClassificationMeter
from problems.tables.meter import ErrorMeter
from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.operations import Requantize
from quantlab.integer.program import Program

SPEC = InputSpec(shape=(1, 8, 8), scale=(1 / 64,), zero_point=(128,))
INPUT = "4.input_quantizer"


def preprocess(images: Tensor) -> Tensor:
    return (images.float() - 128) / 64


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(3))


@pytest.fixture(scope="module")
def network(images: Tensor) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5)
    )
    return calibrated(net, images)


def calibrated(net: nn.Module, images: Tensor) -> nn.Module:
    ste = {"kind": "ste", "num_bits": 6}
    rules = [
        {"select": "*", "on": "weight", "algorithm": ste},
        {"select": "!first", "on": "input", "algorithm": ste},
    ]
    quantize(net.eval(), QuantizeConfig.model_validate({"rules": rules}).rules)
    calibrate(net, [preprocess(images)])
    return net


@pytest.fixture(scope="module")
def program(network: nn.Module, images: Tensor) -> Program:
    return lower(network, SPEC, preprocess(images))


def compared(network: nn.Module, program: Program, images: Tensor) -> Agreement:
    done: list[int] = []
    targets = torch.arange(len(images)) % 5
    batches = zip(images.split(25), targets.split(25), strict=True)
    found = agreement(network, preprocess, program, batches, say=done.append)
    assert done == [25, 50, 60]
    return found


def test_it_is_what_both_say(network: nn.Module, program: Program, images: Tensor) -> None:
    found = compared(network, program, images)
    (output,) = program.outputs
    integers = program.reals[output](run(program, {"input": images.numpy()})[output])
    with torch.no_grad():
        fakes = network(preprocess(images)).double().numpy()
    targets = np.arange(60) % 5
    assert found.num_images == 60
    assert found.num_code_images == 25
    assert found.integer_top1 == pytest.approx(100 * np.mean(integers.argmax(1) == targets))
    assert found.fake_quantized_top1 == pytest.approx(100 * np.mean(fakes.argmax(1) == targets))
    assert found.same_class == pytest.approx(100 * np.mean(integers.argmax(1) == fakes.argmax(1)))
    assert found.largest_difference == pytest.approx(np.abs(integers - fakes).max())
    assert found.other_codes.keys() == {INPUT}
    assert found.num_unmatched == 0
    # What differs are numbers near ties.
    assert found.most_other_codes == (INPUT, found.other_codes[INPUT])
    assert found.other_codes[INPUT] < 0.1


def test_a_wrong_program_has_other_codes(
    network: nn.Module, program: Program, images: Tensor
) -> None:
    operations = [
        replace(o, offset=o.offset + (np.int64(1) << o.shift) // 4)
        if isinstance(o, Requantize) and o.kind.name == "u8"
        else o
        for o in program.operations
    ]
    wrong = replace(program, operations=tuple(operations))
    # A quarter of a step moves about a quarter of the codes that the ReLU leaves.
    assert 5 < compared(network, wrong, images).other_codes[INPUT] < 30


def test_quantizers_that_the_program_lacks_are_counted(
    network: nn.Module, program: Program, images: Tensor
) -> None:
    for quantizers in ({}, {INPUT: "input"}):
        found = compared(network, replace(program, quantizers=quantizers), images)
        assert found.other_codes == {}
        assert found.num_unmatched == 1


class Twice(nn.Module):
    """The same layers for an image and for its half."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.pool, self.fc = nn.ReLU(), nn.MaxPool2d(2), nn.Linear(4 * 45, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        large, small = self.conv(x), self.conv(self.pool(x))
        scores: Tensor = self.fc(torch.cat([large.flatten(1), small.flatten(1)], 1))
        return scores


def test_each_call_of_a_layer_is_compared_with_itself(images: Tensor) -> None:
    """The two calls have codes of different sizes."""
    torch.manual_seed(0)
    network = calibrated(Twice(), images)
    program = lower(network, SPEC, preprocess(images))
    found = compared(network, program, images)
    calls = {"conv.input_quantizer", "conv.input_quantizer:2", "fc.input_quantizer"}
    assert found.other_codes.keys() == set(program.quantizers) == calls
    assert found.num_unmatched == 0
    assert found.most_other_codes[1] < 0.1
    shapes = [program.types[program.quantizers[name]].shape for name in sorted(calls)[:2]]
    assert shapes == [(4, 6, 6), (4, 3, 3)]


@pytest.mark.filterwarnings("ignore:.* is left out of the integer program:UserWarning")
@pytest.mark.parametrize("ending", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_a_softmax_that_the_program_leaves_out_is_no_difference(
    network: nn.Module, images: Tensor, ending: nn.Module
) -> None:
    whole = nn.Sequential(*network, ending)
    found = compared(whole, lower(whole, SPEC, preprocess(images)), images)
    assert found.largest_difference < 1e-5  # float32's rounding


class TwoHeads(nn.Module):
    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk, self.other = trunk, nn.Linear(5, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor | None]:
        x = self.trunk(x)
        return {"chances": x.softmax(1), "none": None, "other": self.other(x)}


@pytest.mark.filterwarnings("ignore:.* is left out of the integer program:UserWarning")
def test_networks_of_several_outputs(images: Tensor) -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 5))
    network = calibrated(TwoHeads(trunk), images)
    program = lower(network, SPEC, preprocess(images))
    found = compared(network, program, images)
    assert found.same_class is None
    assert 0 < found.largest_difference < 0.02
    seen: list[dict[str, Tensor | None]] = []

    class Counted(Tally):
        def add(self, outputs: Any, targets: Tensor) -> None:
            seen.append(outputs)

        def metrics(self) -> dict[str, float]:
            return {}

    def tally() -> Tally:
        return Counted(meter=ErrorMeter(()), postprocess=nn.Identity(), loss=nn.Identity())

    agreement(network, preprocess, program, [(images, images)], say=lambda _: None, new_tally=tally)
    for ours in seen:
        assert list(ours) == ["chances", "none", "other"]
        assert ours["none"] is None
        assert ours["chances"] is not None
        torch.testing.assert_close(ours["chances"].sum(1), torch.ones(60))
    assert len(seen) == 2


def test_batches_are_read_one_by_one(network: nn.Module, program: Program, images: Tensor) -> None:
    done: list[int] = []

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number, part in enumerate(images.split(20)):
            assert done == [20 * (i + 1) for i in range(number)]
            yield part, torch.zeros(len(part), dtype=torch.int64)

    found = agreement(network, preprocess, program, batches(), say=done.append)
    assert (found.num_images, found.num_code_images) == (60, 20)


def test_a_score_that_is_no_number_is_not_hidden(program: Program, images: Tensor) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 5), float("nan") if is_first.pop() else 0.0)

    is_first = [False, True, True]  # from the end; the first batch is run twice
    batches = [(part, torch.zeros(30, dtype=torch.int64)) for part in images.split(30)]
    found = agreement(Broken(), preprocess, program, batches, say=lambda _: None)
    assert np.isnan(found.largest_difference)


def test_without_quantizers_there_is_nothing_to_tell() -> None:
    nothing = Agreement(
        num_images=1,
        integer_top1=0,
        fake_quantized_top1=0,
        same_class=0,
        largest_difference=0,
        num_code_images=1,
        other_codes={},
        num_unmatched=0,
    )
    assert nothing.most_other_codes == ("", 0.0)


class Errors(nn.MSELoss):
    """Of outputs `[N, 5]` and one number a sample."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().forward(outputs.mean(1), targets)


def test_targets_that_are_no_classes_are_what_the_meter_says(
    network: nn.Module, program: Program, images: Tensor
) -> None:
    targets = torch.linspace(-1, 1, len(images))
    found = agreement(
        network,
        preprocess,
        program,
        zip(images.split(25), targets.split(25), strict=True),
        say=lambda _: None,
        new_tally=lambda: Tally(
            meter=ErrorMeter(()), postprocess=lambda outputs: outputs.mean(1), loss=Errors()
        ),
    )
    assert found.integer_top1 is found.fake_quantized_top1 is found.same_class is None
    (output,) = program.outputs
    integers = program.reals[output](run(program, {"input": images.numpy()})[output])
    with torch.no_grad():
        fakes = network(preprocess(images)).double().numpy()
    for metrics, outputs in (
        (found.integer_metrics, integers),
        (found.fake_quantized_metrics, fakes),
    ):
        errors = outputs.mean(1) - targets.numpy()
        assert metrics["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
        assert metrics["loss"] == pytest.approx(np.square(errors).mean(), rel=1e-5)


def test_classes_have_the_meters_metrics_too(
    network: nn.Module, program: Program, images: Tensor
) -> None:
    found = agreement(
        network,
        preprocess,
        program,
        [(images, torch.arange(60) % 5)],
        say=lambda _: None,
        new_tally=lambda: Tally(
            meter=ClassificationMeter("abcde"), postprocess=lambda x: x, loss=nn.CrossEntropyLoss()
        ),
    )
    assert found.integer_metrics["top1"] == pytest.approx(found.integer_top1)
    assert found.fake_quantized_metrics["top1"] == pytest.approx(found.fake_quantized_top1)
