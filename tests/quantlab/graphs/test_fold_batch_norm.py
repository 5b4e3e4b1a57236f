from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.edit import Editor
from quantlab.graphs.fold_batch_norm import factor_and_offset, fold_batch_norm
from quantlab.graphs.quantizers import expose_quantizers
from quantlab.graphs.trace import trace
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import (
    CarryingConv2d,
    Grid,
    Residual,
    calls,
    difference,
    everything,
    run,
    settle,
)


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()


CASES: list[tuple[nn.Module, nn.Module, Tensor]] = [
    (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), inputs(2, 3, 7, 5)),
    (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), inputs(2, 3, 7, 5)),
    (
        nn.Conv2d(4, 8, 3, groups=2, stride=(2, 1), dilation=2),
        nn.BatchNorm2d(8),
        inputs(2, 4, 9, 9),
    ),
    (
        nn.Conv2d(4, 4, 3, groups=4, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        inputs(2, 4, 5, 5),
    ),
    (nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False), inputs(2, 3, 4, 4)),
    (nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.5), inputs(2, 3, 4, 4)),
    (nn.Conv1d(3, 4, 3, bias=False), nn.BatchNorm1d(4), inputs(2, 3, 9)),
    (nn.Linear(3, 4), nn.BatchNorm1d(4), inputs(5, 3)),
    (nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), inputs(5, 3)),
]


@pytest.mark.parametrize(("layer", "norm", "x"), CASES, ids=str)
def test_the_function_stays(layer: nn.Module, norm: nn.Module, x: Tensor) -> None:
    network = settle(nn.Sequential(layer, norm, nn.ReLU()))
    expected = run(network, x)
    weight, had_bias = layer.weight, layer.bias is not None
    gm = trace(network)
    report = fold_batch_norm(gm)
    assert calls(gm) == ["0", "2"]
    assert difference(run(gm, x), expected) < 1e-12
    note = "" if had_bias else ", which has a bias now"
    assert report.lines == (f"0: 1 folded into it{note}",)
    assert report.added == (() if had_bias else ("0.bias",))
    assert set(report.key_map.values()) == {None}
    assert set(report.key_map) == {f"1.{key}" for key in norm.state_dict()}
    assert gm.get_parameter("0.weight") is weight
    assert not fold_batch_norm(gm).lines


def test_a_batch_norm_by_its_formula() -> None:
    """Numbers that are easy to check by hand."""
    norm = nn.BatchNorm2d(2, eps=0.25)
    norm.running_mean.copy_(torch.tensor([1.0, -2.0]))
    norm.running_var.copy_(torch.tensor([0.0, 3.75]))
    norm.weight.data.copy_(torch.tensor([3.0, -4.0]))
    norm.bias.data.copy_(torch.tensor([0.5, 10.0]))
    factor, offset = factor_and_offset(norm)
    assert factor.tolist() == [6, -2]
    assert offset.tolist() == [0.5 - 6, 10 - 4]
    assert factor.dtype == torch.float64


def test_it_is_numpys_formula_in_half_precision() -> None:
    """Computed in float64, rounded once."""
    network = settle(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))).to(torch.bfloat16)
    layer, norm = network
    w, b, mean, var, gamma, beta = (
        t.detach().double().numpy()
        for t in (
            layer.weight,
            layer.bias,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
        )
    )
    factor = gamma / (var + norm.eps) ** 0.5
    fold_batch_norm(trace(network))
    expected = torch.from_numpy(w * factor[:, None]).to(torch.bfloat16)
    assert torch.equal(layer.weight, expected)
    expected = torch.from_numpy(b * factor + (beta - mean * factor)).to(torch.bfloat16)
    assert torch.equal(layer.bias, expected)


class Reused(nn.Module):
    """One convolution before two batch norms, and one pair twice."""

    def __init__(self, *, is_pair: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.first = nn.BatchNorm2d(3)
        self.second = self.first if is_pair else nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(x)).relu()))


@pytest.mark.parametrize("is_pair", [True, False])
def test_a_layer_used_twice(is_pair: bool) -> None:
    network = settle(Reused(is_pair=is_pair))
    x = inputs(2, 3, 5, 5)
    expected = run(network, x)
    gm = trace(network)
    editor = Editor(gm)
    before = everything(gm)
    report = editor.apply(fold_batch_norm)
    assert len(report.lines) == 2
    assert report.lines[0].endswith("whose weight is its own now")
    assert difference(run(gm, x), expected) < 1e-12
    assert gm.conv.weight is not gm.conv_1.weight
    editor.undo()
    assert everything(gm) == before


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Shifted(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


class Branch(nn.Module):
    """Something else reads what the convolution gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.bn(x) + x


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(Standardized(3, 3, 1), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), Shifted(3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3)),
        Branch(),
    ],
    ids=[
        "no statistics",
        "own forward",
        "norm's own forward",
        "not next",
        "other layer",
        "two readers",
    ],
)
def test_what_stays(network: nn.Module) -> None:
    gm = trace(settle(network))
    before = everything(gm)
    assert not fold_batch_norm(gm).lines
    assert everything(gm) == before


def test_features_of_a_sequence_are_not_channels() -> None:
    network = settle(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    assert not fold_batch_norm(trace(network, inputs(2, 4, 3))).lines
    assert fold_batch_norm(trace(network, inputs(2, 3))).lines


@pytest.mark.parametrize("slot", ["weight_quantizer", "output_quantizer"])
def test_quantized_layers_are_refused(slot: str) -> None:
    slots: dict[str, Quantizer] = {slot: Grid()}
    conv: Any = CarryingConv2d(3, 3, 1, quantizers=slots)
    gm = trace(
        settle(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), conv, nn.BatchNorm2d(3)))
    )
    before = everything(gm)
    with pytest.raises(UsageError) as caught:
        fold_batch_norm(gm)
    assert str(caught.value).startswith(f"fold_batch_norm: layer '2' has a {slot}, which was made")
    assert everything(gm) == before


def test_a_quantized_input_is_no_obstacle() -> None:
    for is_exposed in (False, True):
        conv = CarryingConv2d(3, 3, 1, quantizers={"input_quantizer": Grid()})
        network = settle(nn.Sequential(conv, nn.BatchNorm2d(3)))
        x = inputs(2, 3, 4, 4)
        expected = run(network, x)
        gm = trace(network)
        if is_exposed:
            expose_quantizers(gm)
        assert fold_batch_norm(gm).lines
        assert difference(run(gm, x), expected) < 1e-12


def test_other_calls_of_a_batch_norm_keep_it() -> None:
    gm = trace(settle(Residual()))
    node = gm.graph.find_nodes(op="call_module", target="layer1.0.bn2")[0]
    node.target = "layer1.0.bn1"
    gm.recompile()
    fold_batch_norm(gm)
    assert "layer1.0.bn1" not in calls(gm)
    assert not [key for key in gm.state_dict() if "layer1.0.bn1" in key]
