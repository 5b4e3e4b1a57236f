import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.edit import Editor
from quantlab.graphs.equalize import equalize, pairs_of
from quantlab.graphs.fold_batch_norm import fold_batch_norm
from quantlab.graphs.operations import Mean
from quantlab.graphs.report import reported
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import CarryingConv2d, Grid, difference, everything, run, settle


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()


def ranges(layer: nn.Module, *, over_rows: bool) -> Tensor:
    """The largest |W| of each row or, of a layer without groups, of each input channel."""
    weight = layer.weight.detach().abs()
    return weight.flatten(1).amax(1) if over_rows else weight.transpose(0, 1).flatten(1).amax(1)


def test_by_hand() -> None:
    """Equations 10 and 11 for two channels: s = sqrt(8 * 2) / 2 = 2 and sqrt(1 * 4) / 4 = 1/2."""
    first, second = nn.Linear(1, 2), nn.Linear(2, 1)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[8.0], [-1.0]]))
        first.bias.copy_(torch.tensor([6.0, 3.0]))
        second.weight.copy_(torch.tensor([[-2.0, 4.0]]))
        second.bias.copy_(torch.tensor([5.0]))
    report = equalize(trace(nn.Sequential(first, nn.ReLU(), second)))
    assert first.weight.tolist() == [[4], [-2]]
    assert first.bias.tolist() == [3, 6]
    assert second.weight.tolist() == [[-4, 2]]
    assert second.bias.tolist() == [5]
    assert report.lines == ("0 -> 2: ranges of a channel differed up to 4 times, now 1",)
    assert not report.key_map
    assert not report.added


HOMOGENEOUS: list[nn.Module] = [
    nn.Identity(),
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.PReLU(4),
    nn.Dropout(0.5),
    nn.MaxPool2d(2),
    nn.AvgPool2d(2, padding=1, ceil_mode=True),
    nn.AdaptiveAvgPool2d(3),
    nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout2d(0.1)),
]
OTHERS: list[nn.Module] = [
    nn.ReLU6(),
    nn.Sigmoid(),
    nn.Hardswish(),
    nn.BatchNorm2d(4),
    nn.Sequential(nn.ReLU(), Grid()),
    nn.Softmax(1),
]


@pytest.mark.parametrize("between", HOMOGENEOUS + OTHERS, ids=str)
def test_what_stands_between(between: nn.Module) -> None:
    network = settle(nn.Sequential(nn.Conv2d(3, 4, 3), between, nn.Conv2d(4, 2, 1)))
    x = inputs(2, 3, 9, 9)
    expected = run(network, x)
    gm = trace(network)
    assert bool(equalize(gm).lines) == (between in HOMOGENEOUS)
    assert difference(run(gm, x), expected) < 1e-12
    is_equal = torch.allclose(
        ranges(network[0], over_rows=True), ranges(network[2], over_rows=False), rtol=1e-6
    )
    assert is_equal == (between in HOMOGENEOUS)


@pytest.mark.parametrize(
    ("network", "x", "number"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4)),
            inputs(2, 3, 5, 5),
            1,
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.ReLU(), nn.Conv2d(4, 6, 1, groups=2)),
            inputs(2, 4, 5, 5),
            1,
        ),
        (
            nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.AvgPool1d(2), nn.Conv1d(4, 2, 1)),
            inputs(2, 3, 9),
            1,
        ),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 3)),
            inputs(2, 3, 5, 5),
            1,
        ),
        (
            nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Dropout(),
                nn.Linear(4, 3),
            ),
            inputs(2, 3, 5, 5),
            1,
        ),
        (nn.Sequential(nn.Conv2d(3, 4, 3), Mean((2, 3)), nn.Linear(4, 3)), inputs(2, 3, 5, 5), 1),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), Mean((-1, -2), keepdim=True), nn.Conv2d(4, 3, 1)),
            inputs(2, 3, 5, 5),
            1,
        ),
        (
            nn.Sequential(
                nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 2)
            ),
            inputs(2, 3),
            2,
        ),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), inputs(2, 7, 3), 1),
        # A mean over channels, a flattening of rows, a linear layer along another axis.
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), Mean((1, 2), keepdim=True), nn.Conv2d(1, 3, 1)),
            inputs(2, 3, 5, 5),
            0,
        ),
        (nn.Sequential(nn.Conv1d(3, 4, 2), Mean((-2, -1)), nn.Flatten(0)), inputs(2, 3, 5), 0),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(3, 2)), inputs(2, 3, 5, 5), 0),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2), nn.Linear(9, 2)), inputs(2, 3, 5, 5), 0),
        (
            nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(28, 2)),
            inputs(2, 7, 3),
            0,
        ),
    ],
)
def test_which_layers_are_pairs(network: nn.Module, x: Tensor, number: int) -> None:
    settle(network)
    expected = run(network, x)
    gm = trace(network)
    assert len(equalize(gm).lines) == number
    assert difference(run(gm, x), expected) < 1e-12


def test_a_chain_converges() -> None:
    layers = [
        nn.Conv2d(3, 6, 1),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 4, 1),
        nn.Conv2d(4, 3, 1),
    ]
    network = settle(nn.Sequential(*(m for layer in layers for m in (layer, nn.ReLU()))))
    with torch.no_grad():
        layers[0].weight.mul_(10.0 ** torch.arange(-3, 3).reshape(6, 1, 1, 1))
    x = inputs(2, 3, 5, 5)
    expected = run(network, x)
    gm = trace(network)
    equalize(gm, tolerance=1e-7)
    assert difference(run(gm, x), expected) < 1e-12
    for first, second in ((0, 1), (2, 3)):
        rows = ranges(layers[first], over_rows=True)
        # Of the depthwise convolution each row has one input channel.
        inputs_of_second = ranges(layers[second], over_rows=second == 1)
        torch.testing.assert_close(rows, inputs_of_second, rtol=1e-5, atol=0)
    one_sweep = Editor(trace(settle(nn.Sequential(*network))))
    lines = one_sweep.apply(lambda gm: equalize(gm, max_sweeps=1)).lines
    assert not all(line.endswith("now 1") for line in lines)


def test_dead_channels_stay_as_they_are() -> None:
    network = settle(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    with torch.no_grad():
        network[0].weight[0] = 0
        network[2].weight[:, 1] = 0
        network[0].weight[2, 0] = math.inf
    before = [network[0].weight.detach().clone(), network[2].weight.detach().clone()]
    equalize(trace(network))
    for channel in (0, 1, 2):
        assert torch.equal(network[0].weight[channel], before[0][channel])
        assert torch.equal(network[2].weight[:, channel], before[1][:, channel])
    assert not torch.equal(network[0].weight[3], before[0][3])


class Shortcut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x).relu()
        return self.b(y) + y


class Twice(Shortcut):
    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(self.a(x).relu()).relu())


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


@pytest.mark.parametrize(
    "network",
    [Shortcut(), Twice(), nn.Sequential(nn.Conv2d(3, 3, 1), Standardized(3, 3, 1))],
    ids=["other reader", "shared weight", "own forward"],
)
def test_what_is_left_alone(network: nn.Module) -> None:
    gm = trace(settle(network))
    before = everything(gm)
    assert not pairs_of(gm)
    assert not equalize(gm).lines
    assert everything(gm) == before


@pytest.mark.parametrize(
    ("position", "slot"),
    [
        (0, "weight_quantizer"),
        (1, "weight_quantizer"),
        (0, "output_quantizer"),
        (1, "input_quantizer"),
    ],
)
def test_quantized_layers_are_refused(position: int, slot: str) -> None:
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)]
    layers[position] = CarryingConv2d(3, 3, 1, quantizers={slot: Grid()})
    gm = trace(settle(nn.Sequential(*layers)))
    before = everything(gm)
    with pytest.raises(
        UsageError, match=f"equalize: layer '{position}' has a {slot}.*equalize first"
    ):
        equalize(gm)
    assert everything(gm) == before


def test_quantized_ends_are_no_obstacle() -> None:
    first = CarryingConv2d(3, 3, 1, quantizers={"input_quantizer": Grid()})
    last = CarryingConv2d(3, 3, 1, quantizers={"output_quantizer": Grid()})
    network = settle(nn.Sequential(first, nn.ReLU(), last))
    x = inputs(2, 3, 4, 4)
    expected = run(network, x)
    gm = trace(network)
    assert equalize(gm).lines
    # Rounding may move a number on a tie by a step.
    assert (run(gm, x) - expected).abs().max() < 0.11


def test_after_folding_it_helps_quantization() -> None:
    """What the paper is about: with one scale for each tensor, the error of 8 bits falls."""
    conv = [nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=8, bias=False)]
    parts = [
        conv[0],
        nn.BatchNorm2d(8),
        nn.ReLU(),
        conv[1],
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1),
    ]
    network = settle(nn.Sequential(*parts))
    with torch.no_grad():
        network[1].weight.copy_(2.0 ** torch.arange(-4, 4))
    gm = trace(network)
    x = inputs(4, 3, 9, 9)
    expected = run(network, x)
    fold_batch_norm(gm)

    def error_of_8_bits() -> float:
        editor = Editor(gm)
        editor.apply(quantize_weights)
        error = difference(run(gm, x), expected)
        editor.undo()
        return error

    before = error_of_8_bits()
    equalize(gm)
    assert error_of_8_bits() < before / 2


@reported("quantize_weights")
def quantize_weights(gm: fx.GraphModule) -> Iterator[str]:
    """Round each weight tensor to 8 bits with one scale."""
    for parameter in gm.parameters():
        if parameter.ndim > 1:
            scale = parameter.detach().abs().max() / 127
            parameter.data = (parameter.detach() / scale).round() * scale
            yield "rounded"
