"""Programs for small targets: sums of 32 bits, memory of few bits."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from experiments.protocols import InMemory
from problems.images.normalize import CIFAR10, MNIST, normalize
from problems.MNIST import data
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from quantlab.integer.bounds import Bound
from quantlab.integer.fast import FastEngine
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.tensor_type import S32
from quantlab.integer.verify import Interpreter, compare
from quantlab.quantizer import Quantizer
from tests.models import stored
from tests.quantlab.integer.networks import (
    SPEC,
    PreActivation,
    Residual,
    pixels,
    plain,
    reals,
    resnet8,
    settled,
)
from tests.quantlab.integer.random_networks import calibrated
from tests.quantlab.integer.test_lower import scores
from tests.quantlab.integer.test_properties import opened, outliving, sum_bits
from tests.quantlab.integer.test_trained import photos

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "mnist"


def test_multipliers_of_narrow_sums_use_the_room() -> None:
    """For each channel its own: what a sum leaves free is less than a bit."""
    bound = Bound(low=np.array([-(2**15)], object), high=np.array([2**15 - 1], object))
    factor, offset = np.array([0.5, 0.0031, 1e-9]), np.array([100.0, -3.0, 0.5])
    (multiplier,), offsets, shift = choose([factor], offset, [bound], "fc", sum_bits=32)
    most = np.abs(multiplier.astype(object)) * 2**15 + np.abs(offsets)
    assert (most < 2**31).all()
    assert (most[:2] >= 2**29).all()
    assert multiplier[:2].min() > 2**13
    np.testing.assert_allclose(np.ldexp(multiplier[:2].astype(float), -shift[:2]), factor[:2], 1e-4)


def test_numbers_too_large_for_narrow_sums_are_refused_by_name() -> None:
    bound = Bound(low=np.array([0], object), high=np.array([2**26 + 1], object))
    factor, offset = np.array([0.5]), np.array([0.5])
    with pytest.raises(UsageError, match=r"layer 'fc': numbers of up to 2\^26\.0 to rescale given"):
        choose([factor], offset, [bound], "fc", sum_bits=32)
    choose([factor], offset, [bound], "fc")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("sum_bits", 16, "sum_bits: 16 given, 32 or 64 allowed"),
        ("sum_bits", "32", "sum_bits: a str given, an integer allowed"),
        ("memory_bits", 24, "memory_bits: 24 given, 8 or 16 or 32 allowed"),
        ("memory_bits", True, "memory_bits: True given, 8 or 16 or 32 allowed"),
    ],
)
def test_other_bits_are_refused(name: str, given: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        lower(nn.Identity(), SPEC, **{name: given})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """A ResNet-8 in 8 bits, of random weights and the statistics of made-up photos."""
    torch.manual_seed(0)
    network = resnet8()
    samples = normalize(photos(32, (3, 32, 32), 1), CIFAR10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(samples)
    algorithm = {"kind": "ste", "num_bits": 8}
    weights = {"select": "*", "on": "weight", "algorithm": algorithm}
    quantize(network, [weights, {"select": "!first", "on": "input", "algorithm": algorithm}])
    calibrate(network, [samples])
    return network.eval()


PHOTOS = InputSpec(shape=(3, 32, 32), scale=CIFAR10.scale, zero_point=CIFAR10.zero_point)


@pytest.mark.parametrize("limits", [{"memory_bits": 8}, {"memory_bits": 8, "sum_bits": 32}])
def test_a_resnet_keeps_bytes_alone(
    resnet: nn.Module, limits: dict[str, int], tmp_path: Path
) -> None:
    """The image too, whose channels have scales of their own."""
    samples, raw = normalize(photos(32, (3, 32, 32), 1), CIFAR10), photos(40, (3, 32, 32), 2)
    assert max(outliving(lower(resnet, PHOTOS, samples)).values()) == 32
    program = lower(resnet, PHOTOS, samples, **limits)
    assert max(outliving(program).values()) == 8
    assert sum_bits(program) <= limits.get("sum_bits", 64)
    engines = dict(opened(program, tmp_path)) | {
        "file": Interpreter(from_bytes(to_bytes(program), "resnet8"))
    }
    for one in compare(program, engines, [{"input": raw[:4].numpy()}]):
        one.check()
    with torch.no_grad():
        wanted = resnet(normalize(raw, CIFAR10)).numpy()
    (output,) = program.outputs
    found = program.reals[output](FastEngine(program).run({"input": raw.numpy()})[output])
    assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.95
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("make", "bits"), [(plain, 2), (Residual, 2), (Residual, 8), (PreActivation, 8)]
)
def test_limits_are_kept_and_results_near_the_network(make: type[nn.Module], bits: int) -> None:
    network = settled(make(), bits)
    samples, raw = reals(pixels(16)), pixels(20, 5)
    wide = lower(network, SPEC, samples)
    assert to_bytes(lower(network, SPEC, samples, memory_bits=32, sum_bits=64)) == to_bytes(wide)
    assert sum_bits(wide) > 32
    wanted = scores(wide, raw)
    for memory, sums, error in ((32, 32, 0.06), (16, 64, 0.02), (8, 64, 0.06), (8, 32, 0.06)):
        narrow = lower(network, SPEC, samples, memory_bits=memory, sum_bits=sums)
        assert sum_bits(narrow) <= sums
        assert max(outliving(narrow).values()) <= memory
        assert np.abs(scores(narrow, raw) - wanted).max() < error * np.abs(wanted).max()


def test_codes_of_more_bits_than_memory_has_are_refused_by_name() -> None:
    algorithm = {"kind": "ste", "num_bits": 8}
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "last", "on": "input", "algorithm": algorithm | {"num_bits": 12}},
    ]
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    case = calibrated(layers, SPEC, rules, is_odd=False)
    with pytest.raises(
        UsageError, match=r"^2\.input_quantizer: codes from 0 to 4095 given, 8 bits"
    ):
        lower(case.network, SPEC, memory_bits=8)


def test_quantized_values_are_the_codes_that_are_kept() -> None:
    """Rules quantize what residuals add, what they are added to and averages: each tensor of the
    program that outlives its layer is one of the network's."""
    algorithm = {"kind": "ste", "num_bits": 8}
    values = "type:ReLU | *.bn2 | type:AvgPool2d"
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": values, "on": "output", "algorithm": algorithm},
    ]
    spec = InputSpec(shape=(3, 32, 32), scale=(0.02,) * 3, zero_point=(120,) * 3)
    case = calibrated(resnet8(), spec, rules, is_odd=False)
    program = lower(case.network, spec, memory_bits=8)
    assert set(outliving(program)) == {*program.quantizers.values(), "_7"}  # which flattens
    assert set(outliving(program).values()) == {8}
    seen: dict[str, torch.Tensor] = {}

    def note(name: str, quantizer: Quantizer) -> Callable[..., None]:
        def hook(_: object, inputs: tuple[torch.Tensor, ...], output: object) -> None:
            seen[name] = quantizer.codes(inputs[0])

        return hook

    for name in program.quantizers:
        quantizer = case.network.get_submodule(name)
        assert isinstance(quantizer, Quantizer)
        quantizer.register_forward_hook(note(name, quantizer))
    with torch.no_grad():
        case.network(reals(case.images, spec))
    tensors = FastEngine(program).execute({"input": case.images.numpy()})
    made = dict(tensors)
    for name, tensor in program.quantizers.items():
        assert np.array_equal(made[tensor], seen[name].numpy()), name


class PooledResidual(nn.Module):
    """A residual that is pooled before a convolution and an addition read it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)
        self.left, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.stem(x).relu())
        y = (self.left(x) + x).relu()
        out: torch.Tensor = self.fc(y.flatten(1))
        return out


def test_what_is_pooled_is_rounded_once() -> None:
    """To the grid of the quantizer behind the pooling, though another layer reads it too."""
    spec = InputSpec(shape=(3, 10, 10), scale=(0.02,) * 3, zero_point=(120,) * 3)
    algorithm = {"kind": "ste", "num_bits": 8}
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "!first", "on": "input", "algorithm": algorithm},
    ]
    case = calibrated(PooledResidual(), spec, rules, is_odd=False)
    program = lower(case.network, spec, case.samples, memory_bits=8)
    kinds = [type(operation).__name__ for operation in program.operations]
    assert kinds == [
        *("Convolution", "Requantize", "MaxPool", "Convolution", "Add", "Reshape", "Linear"),
        "Requantize",
    ]


@pytest.mark.parametrize("rest", [[], [nn.Flatten()], [nn.ReLU(), nn.Flatten(), nn.Softmax(1)]])
def test_scores_keep_their_bits(rest: list[nn.Module]) -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 7), *rest), 8)
    with nullcontext() if len(rest) < 3 else pytest.warns(UserWarning, match="Softmax is left out"):
        program = lower(network, SPEC, memory_bits=8)
    assert program.types[program.outputs[0]].kind == S32


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"needs the MNIST files in {OFFICIAL}")
def test_a_trained_network_has_the_same_classes_with_narrow_sums() -> None:
    digits = data.load(OFFICIAL, "folder")
    assert isinstance(digits.train, InMemory)
    assert isinstance(digits.test, InMemory)
    network = stored.network("lenet_w4a4")
    spec = InputSpec(shape=(1, 28, 28), scale=MNIST.scale, zero_point=MNIST.zero_point)
    samples, raw = normalize(digits.train.inputs[:64], MNIST), digits.test.inputs[:2000]
    programs = [lower(network, spec, samples, sum_bits=bits) for bits in (64, 32)]
    assert sum_bits(programs[1]) <= 32
    classes, sums = [], []
    for program in programs:
        tensors = dict(FastEngine(program).execute({"input": raw.numpy()}))
        classes.append(tensors[program.outputs[0]].argmax(1))
        sums.append(tensors["classifier_fc2"])
    assert np.array_equal(*classes)
    assert (sums[0] != sums[1]).mean() < 0.05  # of the last layer, before they are rescaled
    raw_bytes = {"input": raw[:20].numpy()}
    for one in compare(programs[1], {"fast": FastEngine(programs[1])}, [raw_bytes]):
        one.check()
