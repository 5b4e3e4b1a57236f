"""Calls of layers in networks of which they are known by hand."""

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.replace import dense_layers
from quantlab.sparse.calls import Call, layer_calls


def calls_of(network: nn.Module, *example: Tensor) -> dict[str, tuple[Call, ...]]:
    return layer_calls(network, dense_layers(network), example)


class Branches(nn.Module):
    """Two layers on one input, and one by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.last = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x + 1
        y: Tensor = self.last(input=self.left(x) + self.right(x))
        return y


def test_shapes_and_types_in_order() -> None:
    layer = nn.Linear(4, 4).double()
    net = nn.Sequential(layer, nn.Unflatten(0, (2, 3)), layer)
    assert calls_of(net, torch.zeros(6, 4, dtype=torch.float64)) == {
        "0": (
            Call(shape=(6, 4), dtype=torch.float64),
            Call(shape=(2, 3, 4), dtype=torch.float64),
        )
    }


def test_the_order_in_memory() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).to(
        memory_format=torch.channels_last
    )
    x = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    calls = calls_of(net, x)
    assert [call.is_channels_last for (call,) in calls.values()] == [True, True]
    made = calls["1"][0].random(torch.Generator())
    assert made.shape == (2, 4, 6, 6)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert [call.is_channels_last for (call,) in calls_of(net[:1], x.contiguous()).values()] == [
        False
    ]


@pytest.mark.parametrize(
    ("before", "is_kept"),
    [(nn.ReLU(), True), (nn.Sigmoid(), True), (nn.BatchNorm1d(4), False), (nn.Identity(), False)],
)
def test_inputs_that_something_else_keeps(before: nn.Module, is_kept: bool) -> None:
    net = nn.Sequential(nn.Linear(4, 4), before, nn.Flatten(), nn.Linear(4, 4))
    (call,) = calls_of(net, torch.zeros(3, 4))["3"]
    assert call.is_kept == is_kept


def test_layers_beside_each_other_keep_the_same_input() -> None:
    calls = calls_of(Branches(), torch.zeros(3, 4))
    assert [call.is_kept for (call,) in calls.values()] == [True, True, False]
    assert calls["last"][0].shape == (3, 4)


def test_layers_that_are_not_reached() -> None:
    net = nn.Sequential(nn.Linear(4, 4))
    net.spare = nn.Linear(2, 2)
    net.forward = lambda x: net[0](x)  # type: ignore[method-assign]
    assert calls_of(net, torch.zeros(3, 4))["spare"] == ()


def test_no_hook_stays() -> None:
    net = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(UsageError, match=r"input: \[3, 5\] given, which the network does not take"):
        calls_of(net, torch.zeros(3, 5))
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks
