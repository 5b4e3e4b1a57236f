"""VGG with batch normalization, after K. Simonyan and A. Zisserman, "Very deep convolutional
networks for large-scale image recognition", 2014, table 1 (columns A, B, D, E); parameters named as
in torchvision, so that its checkpoints load.

Shapes: N images, C channels, 224 x 224 pixels.
"""

from torch import Tensor, nn

from quantlab.errors import UsageError

# Convolutions in each of the five groups, by the depth of the network.
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(nn.Module):
    """Five groups of 3x3 convolutions, each ending in a pooling, then three linear layers."""

    def __init__(
        self,
        depth: int = 16,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if depth not in _CONVOLUTIONS:
            raise UsageError(f"VGG: depth {depth}; allowed: {', '.join(map(str, _CONVOLUTIONS))}")
        self.features = nn.Sequential(*_features(depth, in_channels))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        scores: Tensor = self.classifier(self.flatten(self.avgpool(self.features(x_NCHW))))
        return scores


def _features(depth: int, in_channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    previous = in_channels
    for group, num_convolutions in enumerate(_CONVOLUTIONS[depth]):
        channels = 64 * 2 ** min(group, 3)
        for _ in range(num_convolutions):
            conv = nn.Conv2d(previous, channels, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
            previous = channels
        layers.append(nn.MaxPool2d(2))
    return layers
