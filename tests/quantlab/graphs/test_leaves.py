import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrizations

from quantlab.graphs.leaves import is_leaf, reads_training
from quantlab.graphs.operations import Add
from tests.quantlab.graphs.networks import Block, CarryingConv2d, Grid, Residual


class Standardized(nn.Conv2d):
    """A layer with a forward pass of its own is a layer still."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x


class NoiseInside(Noise):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Branches(nn.ModuleDict):
    pass


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(1, 1, 1),
        nn.ReLU(),
        nn.MultiheadAttention(2, 1),
        Standardized(1, 1, 1),
        parametrizations.weight_norm(nn.Linear(1, 1)),
        Grid(),
        CarryingConv2d(1, 1, 1, quantizers={}),
        Add(),
        Noise(),
    ],
    ids=lambda m: type(m).__name__,
)
def test_leaves(module: nn.Module) -> None:
    assert is_leaf(module)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(),
        nn.ModuleList(),
        Branches(),
        Block(),
        Residual(),
        Double(),
        NoiseInside(),
        fx.symbolic_trace(Double()),
    ],
    ids=lambda m: type(m).__name__,
)
def test_no_leaves(module: nn.Module) -> None:
    assert not is_leaf(module)


def test_more_leaves() -> None:
    assert is_leaf(Block(), (Double, Block))
    assert not is_leaf(Residual(), (Double, Block))


def test_reading_training() -> None:
    assert reads_training(Noise.forward)
    assert not reads_training(Double.forward)
    assert not reads_training(len)
