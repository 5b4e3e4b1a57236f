"""DS-CNN, after Y. Zhang et al., "Hello edge: keyword spotting on microcontrollers", 2017, in the
size that MLPerf Tiny has (C. Banbury et al., "MLPerf Tiny benchmark", 2021).

Shapes: N images, C channels, T frames, K coefficients.
"""

from torch import Tensor, nn

_NUM_BLOCKS = 4


class DSCNN(nn.Module):
    """A convolution 10x4 of stride 2, four depthwise-separable blocks, the mean over all places.

    channels: of all layers. dropout: after the first layer; twice as much before the last one.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        channels: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, (10, 4), stride=2, padding=(5, 1), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.blocks = nn.Sequential(*(separable(channels) for _ in range(_NUM_BLOCKS)))
        self.dropout = nn.Dropout(2 * dropout)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x_NCTK: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.dropout(self.blocks(self.stem(x_NCTK)))
        scores: Tensor = self.fc(self.flatten(self.avgpool(features)))
        return scores


def separable(channels: int) -> nn.Sequential:
    """Return a filter 3x3 for each channel and a convolution 1x1, both with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )
