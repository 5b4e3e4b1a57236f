"""A convolution over the quarters of an image. Shapes: N images, 2 x 2 cells."""

from torch import Tensor, nn


class Grid(nn.Module):
    """Returns, for each cell, the scores of nothing and of both classes, `[N, 3, 2, 2]`."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 8, stride=8)
        self.relu = nn.ReLU()
        self.scores = nn.Conv2d(channels, 3, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        scores: Tensor = self.scores(self.relu(self.conv(x_NCHW)))
        return scores
