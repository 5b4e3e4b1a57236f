"""Everything between layers: gates, branches, averages, splits. Calibrated to 8 bits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from quantlab.integer.interpreter import run
from quantlab.integer.lower import lower
from quantlab.integer.operations import Concatenate, Lookup, Multiply, Permute, Slice
from quantlab.integer.program import Program
from tests.quantlab.integer.networks import SPEC, pixels, reals


class Net(nn.Module):
    """A stem, something in the middle, and a head."""

    def __init__(self, middle: nn.Module, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.middle = middle
        self.head = nn.Sequential(nn.Conv2d(channels, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.head(self.middle(self.stem(x))))
        return scores


class Gate(nn.Module):
    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        self.squeeze, self.activation, self.gate = nn.Conv2d(8, 4, 1), activation(), nn.Sigmoid()
        self.excite = nn.Conv2d(4, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean([2, 3], keepdim=True)
        return x * self.gate(self.excite(self.activation(self.squeeze(mean))))


class Dense(nn.Module):
    """Concatenated, then normalized, as in a DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(8, 4, 3, padding=1), nn.BatchNorm2d(12)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(torch.cat([x, self.conv(x)], 1)))


class Shuffle(nn.Module):
    """Split, one part convolved, joined, and channels of both in turn, as in a ShuffleNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        y = torch.cat((left, self.conv(right)), dim=1)
        batch, channels, height, width = y.size()
        y = y.view(batch, 2, channels // 2, height, width)
        return torch.transpose(y, 1, 2).contiguous().view(batch, channels, height, width)


class Sums(nn.Module):
    """Three branches added, one of them scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.one(x) + self.two(x)


MIDDLES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "gate": (lambda: Gate(nn.ReLU), 8),
    "gate with a table": (lambda: Gate(nn.SiLU), 8),
    "hardswish": (lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardswish()), 8),
    "dense": (Dense, 12),
    "shuffle": (Shuffle, 8),
    "sums": (Sums, 8),
    "max": (lambda: nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), 8),
    "average": (lambda: nn.AvgPool2d(2), 8),
    "average with padding": (lambda: nn.AvgPool2d(3, 2, padding=1), 8),
    "average of what is there": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), 8),
    "average over the end": (lambda: nn.AvgPool2d(2, ceil_mode=True), 8),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d((4, 5)), 8),
    "clipped": (lambda: nn.Sequential(nn.Conv2d(8, 8, 1), nn.Hardtanh(-0.5, 0.7)), 8),
    "dilated": (lambda: nn.Conv2d(8, 8, (3, 1), padding="same", dilation=2), 8),
    "dropout": (lambda: nn.Sequential(nn.Dropout2d(0.5), nn.Identity()), 8),
}


def calibrated(name: str) -> nn.Module:
    torch.manual_seed(0)
    middle, channels = MIDDLES[name]
    network = Net(middle(), channels).double().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_()
                module.bias.normal_()
    algorithm = {"kind": "ste", "num_bits": 8}
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "!first", "on": "input", "algorithm": algorithm},
    ]
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    calibrate(network, [reals(pixels(32, 1))])
    return network


def program_of(name: str) -> tuple[nn.Module, Program]:
    network = calibrated(name)
    return network, lower(network, SPEC, reals(pixels(32, 1)))


@pytest.mark.parametrize("name", MIDDLES)
def test_the_scores_are_the_networks(name: str) -> None:
    network, program = program_of(name)
    raw = pixels(40, 2)
    (output,) = program.outputs
    found = program.reals[output](run(program, {"input": raw.numpy()})[output])
    with torch.no_grad():
        wanted = network(reals(raw)).numpy()
    has_table = any(isinstance(operation, Lookup) for operation in program.operations)
    share = 0.1 if has_table else 0.05  # what a table takes is quantized once more
    assert np.abs(found - wanted).mean() < share * wanted.std(0).mean()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("gate", {Multiply, Lookup}), ("dense", {Concatenate}), ("shuffle", {Slice, Permute})],
)
def test_what_they_are_made_of(name: str, kinds: set[type]) -> None:
    _, program = program_of(name)
    assert kinds <= {type(operation) for operation in program.operations}


class Mixing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).transpose(0, 1)


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(1)


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (Mixing(), "it moves or cuts the batch, which stays first and whole"),
        (Flipped(), r"'flip' \(\.flip\): \.flip has no integer operation"),
        (nn.LayerNorm(9), "layer 'middle': LayerNorm has no integer operation"),
        (nn.Softmax(1), "Softmax has no integer operation"),
    ],
)
def test_what_has_no_operation_is_named(middle: nn.Module, message: str) -> None:
    network = calibrated("dropout")
    network.middle = middle.double()
    with pytest.raises(UsageError, match=message):
        lower(network, SPEC, reals(pixels(8)))


def test_what_has_no_operation_is_named_with_its_line() -> None:
    network = calibrated("dropout")
    network.middle = Flipped().double()
    with pytest.raises(UsageError) as caught:
        lower(network, SPEC, reals(pixels(8)))
    line = str(caught.value).partition("; called in ")[2]
    assert line.endswith("'return x.flip(1)'")
    assert Path(__file__).name in line
