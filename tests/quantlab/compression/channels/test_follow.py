from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.channels.follow import channels_of
from quantlab.compression.channels.labels import Channels
from quantlab.graphs.trace import trace


def follow(network: nn.Module, x: Tensor) -> tuple[Channels, dict[str, tuple[int, ...]]]:
    """Return the channels of a network, and of each tensor the roots by its node's name."""
    channels = channels_of(trace(network.eval(), x))
    roots = {
        node.name: tuple(channels.root(channel) for channel in labels.ids)
        for node, labels in channels.tensors.items()
    }
    return channels, roots


class Between(nn.Module):
    """A function of the tensors between two layers and the last one."""

    def __init__(self, function: Callable[..., Tensor], inputs: int = 4) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 1)
        self.last, self.function = nn.Conv2d(inputs, 3, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.a(x), self.b(x)))


X = torch.randn(2, 2, 4, 4)


def test_terms_of_a_sum_belong_together() -> None:
    channels, roots = follow(Between(torch.add), X)
    assert roots["a"] == roots["b"] == roots["add"]
    assert not channels.pinned().intersection(roots["a"])
    assert channels.pinned() >= set(roots["last"])


def test_parts_of_a_concatenation_do_not() -> None:
    _, roots = follow(Between(lambda a, b: torch.cat([a, b, a], 1), 12), X)
    assert roots["concat"] == roots["a"] + roots["b"] + roots["a"]
    assert not set(roots["a"]).intersection(roots["b"])


@pytest.mark.parametrize(
    ("function", "pinned"),
    [
        (lambda a, b: a * b.size(1), "b"),
        (lambda a, b: a * b.shape[1], "b"),
        (lambda a, b: a * b.numel(), "b"),
        (lambda a, b: a.roll(1, 1) + b, "a"),
        (lambda a, b: a.transpose(1, 2).transpose(1, 2) + b, "b"),
        (lambda a, b: torch.cat([a, b], 0).roll(1, 0)[: a.size(0)], "b"),
    ],
)
def test_what_is_counted_or_read_by_the_unknown_is_pinned(
    function: Callable[..., Tensor], pinned: str
) -> None:
    channels, roots = follow(Between(function), X)
    assert channels.pinned() >= set(roots[pinned])


@pytest.mark.parametrize(
    "function", [lambda a, b: a + b.size(0), lambda a, b: a + b.shape[2], lambda a, b: a + b.dim()]
)
def test_other_sizes_pin_only_what_they_are_added_to(function: Callable[..., Tensor]) -> None:
    channels, roots = follow(Between(function), X)
    assert not channels.pinned().intersection(roots["b"])


def test_a_gate_belongs_to_what_it_opens() -> None:
    _, roots = follow(Between(lambda a, b: a * b.mean((2, 3), keepdim=True).sigmoid()), X)
    assert roots["a"] == roots["b"]


def test_a_gate_for_all_channels_stays() -> None:
    class OneGate(Between):
        def __init__(self) -> None:
            super().__init__(torch.mul)
            self.b = nn.Conv2d(2, 1, 1)

    channels, roots = follow(OneGate(), X)
    assert channels.pinned() >= set(roots["b"])
    assert not channels.pinned().intersection(roots["a"])


def test_groups_belong_together() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 6, 1, groups=2), nn.Conv2d(6, 2, 1))
    _, roots = follow(network, X)
    a, b = roots["_0"][0], roots["_0"][2]
    assert roots["_0"] == (a, a, b, b)
    assert roots["_1"] == (a, a, a, b, b, b)
