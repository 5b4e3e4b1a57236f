from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.channels.branches import drop_branches
from quantlab.compression.channels.constants import constants_of
from quantlab.compression.channels.follow import channels_of
from quantlab.graphs.shapes import evaluating
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Grid, calls

X = torch.randn(2, 2, 4, 4)


class Branches(nn.Module):
    """A function of two layers, of which the second is constant, and an offset."""

    def __init__(self, function: Callable[..., Tensor], bias: float) -> None:
        super().__init__()
        self.a, self.b, self.last = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 1)
        self.offset = nn.Parameter(torch.randn(1, 3, 1, 1))
        self.relu, self.function = nn.ReLU(), function
        nn.init.zeros_(self.b.weight)
        nn.init.constant_(self.b.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.a(x), self.relu(self.b(x)), self.offset))


def dropped(network: nn.Module) -> tuple[bool, list[str], list[str]]:
    """Return whether a branch went, what is called then, and the parameters aside from layers."""
    gm = trace(network.eval(), X)
    with evaluating(gm), torch.no_grad():
        channels = channels_of(gm)
        has_dropped = drop_branches(gm, channels, constants_of(gm, channels))
        assert torch.allclose(gm(X), network(X), atol=1e-6)
    gm.graph.lint()
    return has_dropped, calls(gm), [name for name in gm.state_dict() if "." not in name]


@pytest.mark.parametrize(
    ("function", "bias", "expected"),
    [
        (lambda a, b, c: a + b, 2.0, (True, ["a", "add", "last"], ["offset", "add_constant"])),
        (lambda a, b, c: a + b, -2.0, (True, ["a", "last"], ["offset"])),
        (lambda a, b, c: b - a, 2.0, (True, ["a", "subtract", "last"], None)),
        (lambda a, b, c: a * b, 2.0, (True, ["a", "multiply", "last"], None)),
        (lambda a, b, c: a + (b + c), -2.0, (True, ["a", "add_1", "last"], ["add_1_constant"])),
        (lambda a, b, c: a + a.tanh() * b, -2.0, (True, ["a", "last"], ["offset"])),
        (lambda a, b, c: a + b + b, 2.0, (False, None, ["offset"])),
        (lambda a, b, c: torch.cat([a[:, :1], b[:, 1:]], 1), 2.0, (False, None, ["offset"])),
    ],
)
def test_constant_branches_go(
    function: Callable[..., Tensor],
    bias: float,
    expected: tuple[bool, list[str] | None, list[str] | None],
) -> None:
    made = dropped(Branches(function, bias))
    for one, other in zip(made, expected, strict=True):
        assert other is None or one == other


def test_networks_with_quantizers_keep_theirs() -> None:
    network = Branches(lambda a, b, c: a + b, 2.0)
    network.quantizer = Grid()
    assert not dropped(network)[0]
