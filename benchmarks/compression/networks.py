"""The networks that are compressed, and how each is trained and compressed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from benchmarks.compression.pixels import halved
from problems.CIFAR10.ResNet.network import ResNet
from problems.CIFAR10.ResNet8.network import ResNet as ResNet8
from problems.MNIST.LeNet.network import LeNet
from problems.SpokenDigits.DSCNN.network import DSCNN
from quantlab.compression import Recipe


@dataclass(frozen=True, kw_only=True)
class Training:
    """Of the dense network: SGD with Nesterov's momentum of 0.9 and a one-cycle rate."""

    epochs: int
    peak: float
    batch_size: int = 128
    weight_decay: float = 5e-4


@dataclass(frozen=True, kw_only=True)
class Network:
    """new: makes one, not trained. problem, topology: whose data and preprocessing it takes. fit:
    applied to raw images. budgets: bytes of flash, by name. dense: whose dense networks are taken,
    None for its own."""

    new: Callable[[], nn.Module]
    problem: str
    topology: str
    training: Training
    recipe: Recipe
    budgets: Mapping[str, int] = field(default_factory=dict)
    fit: Callable[[Tensor], Tensor] | None = None
    batch_size: int = 128
    dense: str | None = None


class BaselineS(nn.Module):
    """The network "S" of SparseComp's example for CIFAR-10, 232,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 64, 3), nn.Conv2d(64, 128, 3)
        self.conv3 = nn.Conv2d(128, 64, 3)
        self.pool, self.relu, self.flatten = nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()
        self.fc1, self.fc2 = nn.Linear(256, 256), nn.Linear(256, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores `[N, 10]` of photos `[N, 3, 32, 32]`."""
        for layer in (self.conv1, self.conv2, self.conv3):
            x = self.pool(self.relu(layer(x)))
        scores: Tensor = self.fc3(self.fc2(self.fc1(self.flatten(x))))
        return scores


def digits() -> nn.Module:
    """Return two convolutions with batch norms and pooling, and two linear layers, for images of
    16x16."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


_SGD = {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 1e-4}

NETWORKS: Mapping[str, Network] = {
    "LeNet": Network(
        new=LeNet,
        problem="MNIST",
        topology="LeNet",
        training=Training(epochs=12, peak=0.1),
        recipe=Recipe(epochs=12, learning_rate=2e-3),
        batch_size=256,
    ),
    "Baseline-S": Network(
        new=BaselineS,
        problem="CIFAR10",
        topology="ResNet",
        training=Training(epochs=40, peak=0.1),
        recipe=Recipe(epochs=30, **_SGD),
        batch_size=256,
    ),
    "ResNet-20": Network(
        new=lambda: ResNet(depth=20),
        problem="CIFAR10",
        topology="ResNet",
        training=Training(epochs=60, peak=0.4, batch_size=256),
        recipe=Recipe(epochs=30, **_SGD),
        batch_size=256,
    ),
    "ResNet-8": Network(
        new=lambda: ResNet8(depth=8),
        problem="CIFAR10",
        topology="ResNet8",
        training=Training(epochs=60, peak=0.2),
        recipe=Recipe(epochs=40, **_SGD),
        budgets={"24 KB": 24_000},
    ),
    "ResNet-8, fast": Network(
        new=lambda: ResNet8(depth=8),
        problem="CIFAR10",
        topology="ResNet8",
        training=Training(epochs=60, peak=0.2),
        recipe=Recipe(epochs=40, encodings=("nibbles", "auto"), **_SGD),
        budgets={"36 KB": 36_000},
        dense="ResNet-8",
    ),
    "DS-CNN": Network(
        new=DSCNN,
        problem="SpokenDigits",
        topology="DSCNN",
        training=Training(epochs=30, peak=0.2, batch_size=64),
        recipe=Recipe(epochs=60, **_SGD),
        budgets={"14 KB": 14_000},
        batch_size=64,
    ),
    "digits": Network(
        new=digits,
        problem="MNIST",
        topology="LeNet",
        training=Training(epochs=12, peak=0.1),
        recipe=Recipe(epochs=12, learning_rate=2e-3, encodings=("small",)),
        budgets={"9 KB": 9_000, "7 KB": 7_000},
        fit=halved,
    ),
}
PARTS = {"1/4": 4, "1/10": 10, "1/30": 30, "1/95": 95}
"""Budgets of networks that have none of their own, of the bytes of their floats."""
