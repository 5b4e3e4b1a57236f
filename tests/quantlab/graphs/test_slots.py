import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.operations import Add
from quantlab.graphs.slots import applied, check_openable, close_edges, is_open, open_edges
from quantlab.graphs.unshare import twin
from quantlab.quantizer import Quantizer
from tests.quantlab.graphs.networks import CarryingConv2d, Grid

X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def carrying() -> CarryingConv2d:
    torch.manual_seed(0)
    slots: dict[str, Quantizer] = {
        f"{on}_quantizer": Grid(3, scale=scale)
        for on, scale in (("weight", 0.1), ("input", 0.4), ("output", 0.3))
    }
    return CarryingConv2d(3, 3, 1, quantizers=slots)


def by_hand(layer: CarryingConv2d, x: Tensor) -> Tensor:
    """What an open layer computes: its weight is quantized, its input and output are not."""
    weight = layer.get_submodule("weight_quantizer")(layer.weight)
    return nn.functional.conv2d(x, weight, layer.bias)


def test_an_open_layer_quantizes_its_weight_only() -> None:
    layer = carrying()
    whole = layer(X)
    assert set(applied(layer)) == {"weight_quantizer", "input_quantizer", "output_quantizer"}
    assert not is_open(layer)
    keys = list(layer.state_dict())
    open_edges(layer, "layer")
    assert is_open(layer)
    assert set(applied(layer)) == {"weight_quantizer"}
    assert torch.equal(layer(X), by_hand(layer, X))
    assert torch.equal(layer.output_quantizer(layer(layer.input_quantizer(X))), whole)
    assert list(layer.state_dict()) == keys
    assert type(layer) is CarryingConv2d
    open_edges(layer, "layer")  # once is enough
    close_edges(layer)
    assert torch.equal(layer(X), whole)


def test_hooks_and_gradients_pass() -> None:
    layer = carrying()
    open_edges(layer, "layer")
    seen = []
    layer.register_forward_hook(lambda module, args, output: seen.append(module))
    layer(X).sum().backward()
    assert seen == [layer]
    assert layer.weight.grad is not None


def test_copies_are_open_themselves() -> None:
    layer = carrying()
    open_edges(layer, "layer")
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), twin(layer)):
        assert torch.equal(other(X), by_hand(layer, X))
        other.weight = nn.Parameter(torch.zeros_like(layer.weight))
        assert torch.equal(other(X), by_hand(other, X))
        assert not torch.equal(other(X), layer(X))


@pytest.mark.parametrize("layer", [nn.ReLU(), Add(), nn.Conv2d(3, 3, 1)], ids=str)
def test_layers_that_know_of_no_quantizers_are_open(layer: nn.Module) -> None:
    layer.output_quantizer = Grid()
    assert is_open(layer)
    assert not applied(layer)
    before = dict(vars(layer))
    open_edges(layer, "layer")
    close_edges(layer)
    assert vars(layer) == before


class Own(nn.Module):
    """A leaf of the user, which does not look into slots."""

    def forward(self, x: Tensor) -> Tensor:
        return super().__repr__() and x


def test_a_layer_without_slots_is_only_marked() -> None:
    layer = Own()
    assert not is_open(layer)
    open_edges(layer, "own")
    layer.output_quantizer = Grid()
    assert is_open(layer)
    assert not applied(layer)
    assert torch.equal(layer(X), X)


class Careless(nn.Module):
    """A layer of the user that always applies what it carries."""

    def __init__(self) -> None:
        super().__init__()
        self.input_quantizer = Grid()

    def forward(self, x: Tensor) -> Tensor:
        return self.input_quantizer(x)


def test_a_layer_that_cannot_leave_its_quantizers_is_refused() -> None:
    layer = Careless()
    with pytest.raises(UsageError, match=r"layer 'a\.b': Careless applies its quantizers whatever"):
        check_openable(layer, "a.b")
    assert not is_open(layer)
