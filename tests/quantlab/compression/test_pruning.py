"""What is known of the smallest C."""

from shutil import which

import pytest
import torch
from torch import nn

from quantlab.compression import Recipe
from quantlab.compression.exporting import Exporter
from quantlab.compression.pruning import Pruning
from quantlab.conversion.samples import spec_of

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def test_the_smallest_c_of_a_small_network_has_all_weights() -> None:
    """Code for sparse weights takes more than these weights do."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Sigmoid(), nn.Flatten(), nn.Linear(64, 2))
    samples = torch.rand(8, 1, 8, 8)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("auto",)
    )
    recipe = Recipe(epochs=3, weight_bits=(8,))
    dense = exporter.export(exporter.quantized(network.eval(), {})).flash
    before = [parameter.clone() for parameter in network.parameters()]
    assert Pruning(network, exporter, recipe, 1_000).smallest() <= dense
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_without_a_budget_of_flash_layers_have_bits_that_are_allowed() -> None:
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    samples = torch.rand(8, 8)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("small",)
    )
    pruning = Pruning(network, exporter, Recipe(epochs=3, weight_bits=(4, 2)), None)
    assert pruning.finish().bits == {"0": 4, "2": 4}
