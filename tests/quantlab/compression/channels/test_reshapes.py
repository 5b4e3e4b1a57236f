from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.compression.channels.reshapes import Reshape, kept_axes, resize
from quantlab.graphs.shapes import propagate_shapes

FLAT, COUNTED = Reshape(is_flat=True), Reshape(is_flat=True, is_counted=True)
BEHIND = Reshape(is_flat=False)


def node_of(function: Callable[[Tensor], Tensor], *shape: int) -> tuple[fx.GraphModule, fx.Node]:
    """Return a graph of one function and the node of its result."""
    gm = fx.symbolic_trace(function)
    propagate_shapes(gm, torch.zeros(shape))
    (output,) = gm.graph.find_nodes(op="output")
    return gm, output.args[0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.view(2, -1), FLAT),
        (lambda x: x.view(x.size(0), -1), FLAT),
        (lambda x: x.reshape(-1, 60), COUNTED),
        (lambda x: torch.reshape(x, (2, 60)), COUNTED),
        (lambda x: x.view(6, -1), None),
        (lambda x: x.view(2, 3, 20), None),
        (lambda x: x.view(2, x.size(1) * 20), None),
        (lambda x: x.unsqueeze(-1), BEHIND),
        (lambda x: x.unsqueeze(1), None),
        (lambda x: x.squeeze(3), BEHIND),
        (lambda x: x.squeeze(), None),
        (lambda x: x[:, :, None], BEHIND),
        (lambda x: x[:, 1:], None),
        (lambda x: x[0], None),
        (lambda x: x.contiguous(), BEHIND),
    ],
)
def test_reshapes_of_channels(
    function: Callable[[Tensor], Tensor], expected: Reshape | None
) -> None:
    gm, node = node_of(function, 2, 3, 4, 5)
    assert kept_axes(gm, node, (2, 3, 4, 5), 1) == expected


@pytest.mark.parametrize(
    ("flatten", "expected"),
    [
        (nn.Flatten(), FLAT),
        (nn.Flatten(2), BEHIND),
        (nn.Flatten(0), None),
        (nn.Flatten(1, 2), None),
    ],
)
def test_flatten(flatten: nn.Module, expected: Reshape | None) -> None:
    gm = fx.symbolic_trace(nn.Sequential(flatten))
    propagate_shapes(gm, torch.zeros(2, 3, 4, 5))
    (node,) = gm.graph.find_nodes(op="call_module")
    assert kept_axes(gm, node, (2, 3, 4, 5), 1) == expected


@pytest.mark.parametrize(
    "function", [lambda x: x.view(-1, 60), lambda x: torch.reshape(x, (-1, 60))]
)
def test_a_number_of_channels_in_the_code_is_changed(
    function: Callable[[Tensor], Tensor],
) -> None:
    gm, node = node_of(function, 2, 3, 4, 5)
    resize(node, 40)
    gm.recompile()
    assert gm(torch.zeros(2, 2, 4, 5)).shape == (2, 40)
