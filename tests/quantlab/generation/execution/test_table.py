"""Tables against a walker in float64; see `walker`."""

import copy

import pytest
import torch

from quantlab import backend
from quantlab.generation.execution.find_steps import find_steps
from quantlab.generation.execution.rows import Rows, rows_of
from quantlab.generation.execution.table import Table
from quantlab.graphs.trace import trace
from tests.quantlab.generation.execution.networks import generated
from tests.quantlab.generation.execution.walker import walk


def rows(name: str) -> tuple[Rows, torch.Tensor]:
    network, x = generated(name)
    gm = trace(copy.deepcopy(network), x)
    steps = find_steps(gm)
    (source,) = gm.graph.find_nodes(op="placeholder")
    return rows_of(steps, [source], [steps[-1].nodes[-1]]), x


@pytest.mark.parametrize("variant", backend.kernels("factored"))
@pytest.mark.parametrize(
    "name",
    [
        "ResNet",
        "DenseNet",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("VGG", "MobileNetV2")),
    ],
)
def test_whole_networks(name: str, variant: str) -> None:
    table_rows, x = rows(name)
    table = Table(table_rows)
    table.variant = variant
    (expected,) = walk(table_rows, x)
    found = table(x)
    assert isinstance(found, torch.Tensor)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected.flatten(1), rtol=0, atol=1e-5 * scale)
