"""The rivals at budgets of bytes."""

import pytest
import torch

from benchmarks.generation.forms import FORMS, _bytes_at, resnet18, size_within
from benchmarks.generation.network import Rival
from benchmarks.generation.rivals.stored import file_bytes
from quantlab.errors import UsageError

BUDGET = 358_400
SIZED = [
    name if name == "bsconv" else pytest.param(name, marks=pytest.mark.long)
    for name, family in FORMS.items()
    if family.sizes
]


@pytest.mark.parametrize("name", SIZED)
def test_the_largest_network_within_a_budget(name: str) -> None:
    family = FORMS[name]
    size = size_within(name, BUDGET)
    place = family.sizes.index(size)
    assert _bytes_at(family, size) <= BUDGET < _bytes_at(family, family.sizes[place + 1])
    assert _bytes_at(family, size) > 0.85 * BUDGET


def test_a_budget_that_nothing_fits() -> None:
    with pytest.raises(UsageError, match=r"svd: a budget of 1000 bytes given, at least .* allowed"):
        size_within("svd", 1000)
    with pytest.raises(UsageError, match=r"form: 'svt' given, .* allowed; did you mean 'svd'"):
        size_within("svt", BUDGET)


@pytest.mark.parametrize("name", FORMS)
def test_networks_give_scores(name: str) -> None:
    family = FORMS[name]
    with torch.device("meta"):
        network = Rival(name, family.sizes[1] if family.sizes else 0.0)
        assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert file_bytes(network, family.bits) > 0


def test_4_bits_of_the_dense_network() -> None:
    with torch.device("meta"):
        found = file_bytes(resnet18(), 4)
    num_weights, channels, num_layers = 11_164_352 - 5120, 4800, 21
    assert found == num_weights // 2 + 5120 + 8 * channels + 4 * num_layers
