import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.compression.channels.follow import channels_of
from quantlab.compression.channels.labels import Channels
from quantlab.graphs.trace import trace

X = torch.randn(2, 2, 4, 4)


def follow(network: nn.Module) -> tuple[Channels, dict[str, set[int]]]:
    """Return the channels of a network, and of each tensor the roots by its node's name."""
    channels = channels_of(trace(network.eval(), X))
    roots = {n.name: {channels.root(c) for c in t.ids} for n, t in channels.tensors.items()}
    return channels, roots


class Tied(nn.Module):
    def __init__(self, second: nn.Module) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1, bias=False)
        self.middle, self.second, self.last = nn.Conv2d(2, 2, 1), second, nn.Conv2d(2, 2, 1)
        second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.middle(self.first(self.stem(x)))))


def test_layers_of_one_weight_lose_the_same_channels() -> None:
    channels, roots = follow(Tied(nn.Conv2d(2, 2, 1, bias=False)))
    assert roots["first"] == roots["second"]
    assert roots["stem"] == roots["middle"]
    assert channels.pinned() == roots["last"]


def test_layers_that_read_one_weight_otherwise_lose_none() -> None:
    channels, roots = follow(Tied(nn.ConvTranspose2d(2, 2, 1, bias=False)))
    for name in ("stem", "first", "middle", "second"):
        assert channels.pinned() >= roots[name]


class ReadAside(nn.Module):
    """A function reads the weight of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(2, 2, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(self.c(self.b(self.a(x))), self.b.weight)


def test_a_weight_that_a_function_reads_is_pinned() -> None:
    channels, roots = follow(ReadAside())
    assert channels.pinned() >= roots["a"] | roots["b"]


class NormedTwice(nn.Module):
    """One batch norm for two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.norm(self.b(self.norm(self.a(x)))))


def test_a_batch_norm_that_is_called_twice_loses_the_same_channels() -> None:
    channels, roots = follow(NormedTwice())
    assert roots["a"] == roots["norm"] == roots["b"] == roots["norm_1"]
    assert channels.pinned() == roots["c"]
