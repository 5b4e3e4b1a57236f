"""A baseline with intermediate outputs and an exit for them, as SparseComp has them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Baseline(nn.Module):
    """Three convolutions, each an intermediate output, of images [1, 12, 12]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(6)
        self.conv3 = nn.Conv2d(6, 8, 3)
        self.fc1 = nn.Linear(8 * 4, 3)

    def forward(self, x: Tensor, intermediate_outputs: bool = False) -> Any:
        first = functional.relu(self.conv1(x))
        second = functional.max_pool2d(functional.relu(self.norm2(self.conv2(first))), 2)
        third = functional.max_pool2d(functional.relu(self.conv3(second)), 2)
        scores = self.fc1(torch.flatten(third, 1))
        return (scores, [first, second, third]) if intermediate_outputs else scores


class Exit(nn.Module):
    """A linear layer. channels: of all pooled outputs, each of 2 x 2."""

    def __init__(self, channels: int = 15, pool_kernels: Any = (6, (2, 3, 3), (1, 1, 1))) -> None:
        super().__init__()
        self.pool_kernels = pool_kernels
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(4 * channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc1(self.flatten(x))


def models(seed: int = 0) -> tuple[Baseline, Exit]:
    torch.manual_seed(seed)
    return Baseline(), Exit()


def images(count: int = 32) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))
