"""Joined programs compute what programs do, up to the order of sums."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from problems.CIFAR10.DenseNet.network import DenseNet
from problems.CIFAR10.MobileNetV3.network import MobileNetV3
from problems.CIFAR10.ResNet.network import ResNet
from problems.CIFAR10.VGG.network import VGG
from problems.MNIST.LeNet.network import LeNet
from quantlab.floats import interpreter
from quantlab.floats.lower.lower import lower
from quantlab.packs import make_pack
from quantlab.packs.join import join
from quantlab.packs.joined import Joined, windows_of
from quantlab.packs.products import Products
from tests.quantlab.packs.networks import images, small, with_statistics


class Branches(nn.Module):
    """A value that is read in three places, one of them behind a function that is no step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.third, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).clamp(0, 6)
        y = self.third(torch.tanh(x)) + self.second(x)
        return self.pool(torch.relu(y + x) + x).flatten(1)


NETWORKS = {
    "ResNet": (lambda: ResNet(8, width=4), (3, 8, 8), 1),
    "DenseNet": (lambda: DenseNet(10, growth=4), (3, 8, 8), 1),
    "VGG": (lambda: VGG(11, width=2), (3, 32, 32), 1),
    "LeNet": (LeNet, (1, 28, 28), 2),
    "MobileNetV3": (lambda: MobileNetV3(width=0.25), (3, 8, 8), None),
    "Branches": (Branches, (3, 6, 6), None),
}


@pytest.mark.parametrize(("make", "shape", "count"), NETWORKS.values(), ids=NETWORKS)
def test_networks(make: type[nn.Module], shape: tuple[int, ...], count: int | None) -> None:
    torch.manual_seed(0)
    program = lower(with_statistics(make()).eval(), torch.zeros(1, *shape))
    joined = join(program)
    x = torch.randn(2, *shape).numpy()
    expected = interpreter.run(program, {"input": x})["output"]
    found = interpreter.run(joined, {"input": x}, Products().compute)["output"]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert any(isinstance(operation, Joined) for operation in joined.operations)
    assert len(joined.operations) < len(program.operations)
    if count is not None:
        assert len(joined.operations) == count


@pytest.mark.parametrize(
    ("ranges", "size", "expected"),
    [
        (((0, 2), (2, 4)), 4, (2, 2)),
        (((0, 3), (1, 4)), 4, (3, 1)),
        (((0, 4),), 4, (4, 4)),
        (((0, 2), (2, 4)), 5, (2, 2)),
        (((0, 2), (2, 4)), 6, None),
        (((0, 1), (1, 3)), 3, None),
        (((1, 3),), 3, None),
        (((0, 2), (0, 2)), 2, None),
        (((0, 0),), 2, None),
    ],
)
def test_windows(
    ranges: tuple[tuple[int, int], ...], size: int, expected: tuple[int, int] | None
) -> None:
    assert windows_of(ranges, size) == expected


def test_a_pack_that_was_used_is_copied() -> None:
    pack, x = make_pack(small(), images()), images().numpy()
    expected = pack.scores(x)
    for other in (copy.deepcopy(pack), pickle.loads(pickle.dumps(pack))):
        assert np.array_equal(other.scores(x), expected)
