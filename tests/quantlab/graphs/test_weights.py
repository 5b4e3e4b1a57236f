from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import (
    parametrizations,
    parametrize,
    prune,
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)

from quantlab.errors import UsageError
from quantlab.graphs.trace import trace
from quantlab.graphs.weights import (
    check_own_weight,
    check_unquantized,
    is_linear,
    num_owners,
    put,
)
from tests.quantlab.graphs.networks import CarryingConv2d, Grid


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Renamed(nn.Conv2d):
    """A subclass that computes what its base class does."""


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(1, 1, 1), True),
        (nn.Linear(1, 1), True),
        (Renamed(1, 1, 1), True),
        (CarryingConv2d(1, 1, 1, quantizers={}), True),
        (Standardized(1, 1, 1), False),
        (parametrizations.weight_norm(nn.Linear(1, 1)), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_layers_are_known(layer: nn.Module, expected: bool) -> None:
    assert is_linear(layer) == expected


def test_an_inserted_quantizer_does_not_make_a_layer_known() -> None:
    layer = Standardized(1, 1, 1)
    layer.output_quantizer = Grid()
    assert not is_linear(layer)


@pytest.mark.parametrize(
    ("slot", "is_last", "is_refused"),
    [
        ("weight_quantizer", False, True),
        ("weight_quantizer", True, True),
        ("output_quantizer", False, True),
        ("output_quantizer", True, False),
        ("input_quantizer", False, False),
        ("input_quantizer", True, True),
    ],
)
def test_quantizers_in_the_way(slot: str, is_last: bool, is_refused: bool) -> None:
    layer = CarryingConv2d(1, 1, 1, quantizers={slot: Grid()})
    if not is_refused:
        check_unquantized("fold", "a.b", layer, is_last=is_last)
        return
    with pytest.raises(UsageError, match=rf"fold: layer 'a\.b' has a {slot}.*fold first"):
        check_unquantized("fold", "a.b", layer, is_last=is_last)


def test_putting_values() -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2), nn.Linear(2, 2))
    network[2].weight = network[1].weight
    network.requires_grad_(False)
    gm = trace(network)
    own, tied = network[0].weight, network[1].weight
    assert (num_owners(gm, own), num_owners(gm, tied)) == (1, 2)

    assert not put(gm, network[0], "weight", torch.full((2, 2), 3.0, dtype=torch.float64))
    assert network[0].weight is own
    assert own.dtype == torch.float32
    assert own.tolist() == [[3, 3], [3, 3]]

    assert not put(gm, network[0], "bias", torch.ones(2, dtype=torch.float64))
    assert network[0].bias.dtype == torch.float32
    assert not network[0].bias.requires_grad

    before = tied.detach().clone()
    assert put(gm, network[1], "weight", torch.zeros(2, 2))
    assert network[1].weight is not tied
    assert network[2].weight is tied
    assert torch.equal(tied, before)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the older norms
@pytest.mark.parametrize(
    ("compute", "undo", "call"),
    [
        (weight_norm, remove_weight_norm, "remove_weight_norm"),
        (spectral_norm, remove_spectral_norm, "remove_spectral_norm"),
        (
            parametrizations.weight_norm,
            lambda layer: parametrize.remove_parametrizations(layer, "weight"),
            "remove_parametrizations",
        ),
        (
            lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
            lambda layer: prune.remove(layer, "weight"),
            r"prune\.remove",
        ),
    ],
)
def test_a_weight_that_is_computed_is_refused_with_what_undoes_it(
    compute: Any, undo: Any, call: str
) -> None:
    layer = nn.Linear(4, 3)
    compute(layer)
    with pytest.raises(UsageError, match=rf"layer 'a.fc': a weight .* call .*{call}\(.*a\.fc"):
        check_own_weight(layer, "a.fc")
    undo(layer)
    check_own_weight(layer, "a.fc")
