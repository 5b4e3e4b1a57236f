import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.channels.sources import has_channels, tensor_of
from quantlab.graphs.trace import trace


class Offset(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.relu, self.offset = nn.ReLU(), nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x) + self.offset


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 3, 1, 1), True), ((1, 3), True), ((3, 1, 1), False), ((1, 3, 4, 4), False), ((), False)],
)
def test_what_has_channels_along_axis_1(shape: tuple[int, ...], expected: bool) -> None:
    network = Offset(*shape)
    gm = trace(network, torch.ones(2, 3, 4, 4) if len(shape) != 2 else torch.ones(2, 3))
    (node,) = gm.graph.find_nodes(op="get_attr")
    assert tensor_of(gm, node) is network.offset
    assert has_channels(gm, node) is expected
    assert not any(has_channels(gm, n) for n in gm.graph.nodes if n is not node)
