"""Networks whose layers are converted."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGLinear, convert
from quantlab.generation.config import MLGConfig
from quantlab.graphs.weights import weight_of

SMALL = {"base_in": 2, "base_out": 5}
X = torch.randn(2, 3, 6, 6)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 12, 1),
        nn.Flatten(),
        nn.Linear(432, 10),
    )


class Tied(nn.Module):
    """Two convolutions of one weight, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.b.weight = self.a.weight
        self.c = nn.Conv2d(6, 6, 3, padding=1)
        self.d = self.c

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.d(self.c(self.a(x) + self.b(x)))
        return y


def test_layers_stay_the_objects_they_were() -> None:
    net = network()
    layers = list(net)
    report = convert(net, SMALL)
    assert [row.layer for row in report.rows] == ["0", "2", "3"]
    assert all(now is before for now, before in zip(net, layers, strict=True))
    assert [type(net[i]) for i in (0, 2, 3)] == [MLGConv2d] * 3
    assert type(net[5]) is nn.Linear
    assert net(X).shape == (2, 10)


def test_the_report_counts_bits() -> None:
    report = convert(network(), SMALL)
    # 8x3x3x3: B 5x2x9 of 3 bits, U 5x3x2 of 6, V 8x5 of 3
    assert report.rows[0].num_bits == 90 * 3 + 30 * 6 + 40 * 3
    assert report.rows[2].num_bits == 40 * 3 + 60 * 3
    assert "8x3x3x3" in str(report)
    assert report.dense == ()


@pytest.mark.parametrize("method", ["svd", "als", "qals"])
def test_weights_are_projected(method: str) -> None:
    net = network()
    before = copy.deepcopy(net)
    report = convert(net, {**SMALL, "projection_alg": method})
    for row in report.rows:
        dense = weight_of(before.get_submodule(row.layer)).detach()
        made = weight_of(net.get_submodule(row.layer)).detach()
        assert row.error == pytest.approx(float((made - dense).norm() / dense.norm()), rel=1e-4)
        assert row.error < 0.9


def test_rules_are_about_some_layers() -> None:
    rules = [
        {"select": "first", "dense": True},
        {"select": "type:Linear", "base_out": 4, "quantizer": "lsq"},
        {"select": "2", "coeff_in_bit": 2, "base_in": 1},
    ]
    net = network()
    report = convert(net, {**SMALL, "rules": rules, "weight_decay": 1e-4})
    assert type(net[0]) is nn.Conv2d
    assert report.dense == ("0",)
    assert isinstance(net[5], MLGLinear)
    assert net[5].spec.quantizer == "lsq"
    assert net[2].coeff_in.shape == (5, 8, 1)
    assert net[2].spec.coeff_in_bit == 2
    assert net[3].spec.coeff_in_bit == 6
    assert {layer.weight_decay for layer in (net[2], net[3], net[5])} == {1e-4}


def test_ties_are_kept() -> None:
    net = Tied()
    report = convert(net, SMALL)
    assert net.a.basis is net.b.basis
    assert net.a.coeff_in_quantizer is net.b.coeff_in_quantizer
    assert net.c is net.d
    assert [(row.layer, row.num_bits > 0) for row in report.rows] == [
        ("a", True),
        ("b", False),
        ("c", True),
    ]
    torch.testing.assert_close(net.a.weight, net.b.weight)
    assert net.a.bias is not net.b.bias
    copied = copy.deepcopy(net)
    assert copied.a.basis is copied.b.basis
    net(X).square().mean().backward()
    assert net.b.basis.grad is not None


def test_layers_without_smaller_levels_stay_dense() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3))
    report = convert(net, {"base_in": 2, "base_out": 6})
    assert report.dense == ("0",)
    assert type(net[0]) is nn.Conv2d


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"layers": "type:Conv3d"}, "mlg.layers: select: 'type:Conv3d' matches no layer"),
        ({"rules": [{"select": "9", "base_out": 3}]}, "mlg.rules.0: select: '9' matches no layer"),
        (
            {"rules": [{"select": "2", "base_out": 3}, {"select": "*", "base_out": 4}]},
            "mlg.rules.1: '2' given, which mlg.rules.0 is about",
        ),
        (
            {"rules": [{"select": "2", "base_in": 9, "base_out": 8}]},
            "mlg.rules.0: 2: base_in 9, base_out 8 given for a weight of 8x8x3x3",
        ),
        ({"base_in": 0, "base_out": 0}, "mlg: base_in 0, base_out 0 given, of which no selected"),
        ({"rules": [{"select": "2"}]}, "rules.0: a rule without effect"),
        (
            {"rules": [{"select": "2", "dense": True, "base_out": 3}]},
            "rules.0: base_out: has no effect with dense",
        ),
        (
            {"quantizer": "lsq", "rules": [{"select": "2", "basis_bit": 1}]},
            "rules.0.basis_bit: 1 given, at least 2 allowed",
        ),
        ({"projection_alg": "qual"}, "projection_alg: "),
        ({"kd": 2}, "kd: "),
        ({"base_inn": 2}, "base_inn: unknown key; did you mean 'base_in'"),
    ],
)
def test_impossible_configs_are_refused(config: dict[str, Any], message: str) -> None:
    net = network()
    before = copy.deepcopy(net)
    with pytest.raises(UsageError, match=message):
        convert(net, config)
    assert [type(layer) for layer in net] == [type(layer) for layer in before]


def test_more_bits_than_the_weights_are_refused() -> None:
    floats = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), 32)
    net = nn.Sequential(nn.Conv2d(10, 10, 1))
    with pytest.raises(
        UsageError, match="mlg: the factors of the selected layers have 5,760 bits, at most"
    ):
        convert(net, {"base_out": 20, **floats})
    with pytest.raises(UsageError, match=r"mlg.rules.0: 0: .* its factors have 5,760 bits"):
        convert(net, {**floats, "rules": [{"select": "0", "base_out": 20}]})


def test_one_is_taken_for_true() -> None:
    assert MLGConfig(kd=1).kd is True
    assert MLGConfig(kd=0).kd is False


def test_a_weight_that_stays_dense_elsewhere_is_refused() -> None:
    net = network()
    net.add_module("other", nn.Embedding(8, 3))
    net.other.weight = net[2].weight
    with pytest.raises(UsageError, match="'2' given, whose weight is also that of 'other'"):
        convert(net, SMALL)


def test_a_subclass_with_a_forward_pass_of_its_own_is_refused() -> None:
    class Own(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    with pytest.raises(UsageError, match=r"mlg.layers: 0: a Own given, Conv2d, Linear allowed"):
        convert(nn.Sequential(Own(8, 8, 3)), SMALL)


@pytest.mark.parametrize("method", ["svd", "als", "qals", "train"])
def test_a_weight_that_cannot_be_projected_leaves_the_network_as_it_was(method: str) -> None:
    net = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    with torch.no_grad():
        net[1].weight[0, 0, 0, 0] = torch.nan
    if method == "train":
        net[0] = nn.ReLU()  # it takes long
    before = [type(layer) for layer in net]
    with pytest.raises(UsageError, match=r"mlg: 1: weight: 1 of 324 elements are not finite"):
        convert(net, {**SMALL, "projection_alg": method})
    assert [type(layer) for layer in net] == before


def test_the_layer_with_numbers_too_large_is_named() -> None:
    net = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    nn.init.normal_(net[1].weight, std=100.0)
    with pytest.raises(UsageError, match="mlg: 1: quantizer: 'dorefa_sym' given, whose numbers"):
        convert(net, {**SMALL, "projection_alg": "svd"})
    assert type(net[0]) is nn.Conv2d


def test_layers_of_one_weight_have_one_rule() -> None:
    net = Tied()
    with pytest.raises(UsageError, match=r"mlg\.rules: 'b' and 'a' given differently, which share"):
        convert(net, {**SMALL, "rules": [{"select": "b", "base_out": 3}]})
    assert type(net.a) is nn.Conv2d
    convert(
        net, {**SMALL, "rules": [{"select": "a", "base_out": 3}, {"select": "b", "base_out": 3}]}
    )
    assert net.a.basis is net.b.basis


def test_rules_that_leave_all_layers_dense_are_refused() -> None:
    net = nn.Sequential(nn.Conv2d(6, 6, 3))
    with pytest.raises(UsageError, match=r"mlg\.rules: all selected layers stay dense"):
        convert(net, {**SMALL, "rules": [{"select": "0", "dense": True}]})
