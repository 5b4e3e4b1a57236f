import pytest
import torch
from torch import Tensor, fx, nn

from quantlab.algorithms.layers import attach
from quantlab.compression.channels.kinds import Kind, is_known, kind_of
from quantlab.graphs.modularize import number_nodes
from quantlab.graphs.trace import trace
from tests.quantlab.graphs.networks import Grid


def kinds(network: nn.Module, x: Tensor) -> dict[str, Kind]:
    gm: fx.GraphModule = trace(network.eval(), x)
    numbers = number_nodes(gm.graph)
    return {node.name: kind_of(gm, node, numbers) for node in gm.graph.nodes}


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.softmax = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Softmax(1)
        self.offset = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.conv(x)))
        z = torch.cat([y + self.offset, self.softmax(y)], 1).mean((2, 3))
        return z.view(z.size(0), -1).roll(1, 1)


def test_each_node_has_a_kind() -> None:
    assert kinds(Several(), torch.randn(2, 2, 4, 4)) == {
        "x": Kind.SOURCE,
        "conv": Kind.LAYER,
        "norm": Kind.CHANNELWISE,
        "relu": Kind.POINTWISE,
        "offset": Kind.SOURCE,
        "add": Kind.JOIN,
        "softmax": Kind.UNKNOWN,
        "concat": Kind.CONCAT,
        "mean": Kind.REDUCTION,
        "size": Kind.NUMBER,
        "view": Kind.RESHAPE,
        "roll": Kind.UNKNOWN,
        "output": Kind.OUTPUT,
    }


class Overwritten(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.relu = nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        return self.relu(y.view(-1, 4)) + y


def test_what_overwrites_a_tensor_that_others_read_is_unknown() -> None:
    found = kinds(Overwritten(), torch.randn(2, 4))
    assert found["relu"] is Kind.UNKNOWN
    chain = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    assert Kind.UNKNOWN not in kinds(chain, torch.randn(2, 4)).values()


class Doubled(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input).flip(1)


@pytest.mark.parametrize(
    ("module", "known"),
    [
        (nn.Conv2d(2, 2, 1), True),
        (nn.BatchNorm2d(2), True),
        (nn.BatchNorm2d(2, track_running_stats=False), False),
        (nn.GroupNorm(1, 2), False),
        (Doubled(), False),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), False),
        (Grid(), True),
    ],
    ids=lambda given: type(given).__name__,
)
def test_only_modules_as_they_are_in_torch_are_known(module: nn.Module, known: bool) -> None:
    assert is_known(module) is known


def test_a_quantizer_behind_an_activation_is_known_and_other_hooks_are_not() -> None:
    relu = nn.ReLU()
    attach(relu, "output", Grid())
    assert is_known(relu)
    relu.register_forward_hook(lambda module, inputs, output: output.flip(1))
    assert not is_known(relu)
