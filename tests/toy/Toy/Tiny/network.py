"""Networks of a few hundred parameters. Shapes: N patches of 1 x 6 x 6."""

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Convolution, batch norm, dropout and a linear layer: state of every kind."""

    def __init__(self, width: int = 4, dropout: float = 0.25, shape: tuple[int, int] = (3, 3)):
        super().__init__()
        if width < 1:
            raise ValueError(f"width: {width}; at least 1")
        self.conv = nn.Conv2d(1, width, shape)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(width * (7 - shape[0]) * (7 - shape[1]), 4)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        hidden = self.relu(self.norm(self.conv(x_NCHW)))
        scores: Tensor = self.linear(self.flatten(self.dropout(hidden)))
        return scores


class Plain(nn.Module):
    """Two linear layers: a step depends on the mean gradient alone."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(36, hidden)
        self.relu = nn.ReLU()
        self.linear2 = nn.Linear(hidden, 4)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        scores: Tensor = self.linear2(self.relu(self.linear1(self.flatten(x_NCHW))))
        return scores


class Exploding(Plain):
    """Scores that are no numbers."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return super().forward(x_NCHW) * torch.tensor(float("nan"))


class PassesBy(Plain):
    """Has a layer that is never called."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(hidden)
        self.spare = nn.Linear(4, 4)
