"""Networks that begin where another one ended; 0.1 s."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import convert
from quantlab.generation import inherit as inherit_module
from quantlab.generation.inherit import dense_weights, inherit
from quantlab.generation.layers import projection_for
from quantlab.generation.projected import ProjectedFactors


def test_a_weight_that_cannot_be_projected_leaves_the_network_as_it_was() -> None:
    dense = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    net = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    convert(net, {"base_in": 2, "base_out": 5})
    weights = dense_weights(dense)
    errors = inherit(net, weights, method="svd")
    assert errors.keys() == {"0", "1"}
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    broken = {name: tensor * 2 for name, tensor in weights.items()}
    broken["1.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="1: weight: 1 of 324 elements are not finite"):
        inherit(net, broken, method="svd")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_network_on_a_gpu_gets_the_projection_of_the_processor() -> None:
    dense = nn.Sequential(nn.Conv2d(6, 6, 3))
    states = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(6, 6, 3))
        convert(net, {"base_in": 2, "base_out": 5})
        inherit(net.to(device), dense_weights(dense.to(device)), method="qals")
        states.append({name: tensor.cpu() for name, tensor in net.state_dict().items()})
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name


class Tied(nn.Module):
    """Two convolutions of one weight, and one of two names."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.b.weight = self.a.weight
        self.c = nn.Conv2d(6, 6, 3, padding=1)
        self.d = self.c

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.d(self.c(self.a(x) + self.b(x)))
        return y


def tied(quantizer: str) -> Tied:
    net = Tied()
    convert(net, {"base_in": 2, "base_out": 5, "quantizer": quantizer})
    return net


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq"])
def test_layers_of_one_weight_are_projected_once(
    quantizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense, net = Tied(), tied(quantizer)
    projected: list[Tensor] = []

    def seen(layer: Any, weight: Tensor, *args: Any, **kwargs: Any) -> ProjectedFactors:
        projected.append(weight)
        return projection_for(layer, weight, *args, **kwargs)

    monkeypatch.setattr(inherit_module, "projection_for", seen)
    errors = inherit(net, dense_weights(dense), method="qals")
    assert errors["a"] == errors["b"]
    assert 0 < errors["a"] < 1
    assert len(projected) == 2
    assert net.a.basis is net.b.basis
    assert torch.equal(net.b.bias, dense.b.bias)


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq"])
def test_a_dense_network_begins_with_weights_of_two_names(quantizer: str) -> None:
    net, dense = tied(quantizer), Tied()
    weights = dense_weights(net)
    assert weights.keys() == dense.state_dict().keys()
    dense.load_state_dict(weights)
    x = torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(dense(x), net.eval()(x))


def test_different_weights_of_layers_that_share_one_are_refused() -> None:
    net = tied("lsq")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    weights = dense_weights(Tied())
    weights["b.weight"] = weights["b.weight"] + 1
    with pytest.raises(UsageError) as error:
        inherit(net, weights, method="svd")
    assert str(error.value) == (
        "b: another weight than that of 'a' given, with which it shares its factors; the same "
        "allowed"
    )
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
