"""VGG with batch normalization for 32 x 32 images, after K. Simonyan and A. Zisserman, "Very deep
convolutional networks for large-scale image recognition", 2014, table 1 (columns A, B, D, E).

Shapes: N images, C channels, 32 x 32 pixels.
"""

from torch import Tensor, nn

from quantlab.errors import UsageError

# Convolutions in each of the five groups, by the depth of the original network.
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(nn.Module):
    """Five groups of 3x3 convolutions, each ending in a pooling, and one linear layer.

    The original's two wide linear layers are left out: at 1 x 1 pixels they have no use.
    `width` is the channels of the first group; later groups have 2, 4, 8, 8 times as many.
    """

    def __init__(
        self, depth: int = 11, num_classes: int = 10, in_channels: int = 3, width: int = 64
    ) -> None:
        super().__init__()
        if depth not in _CONVOLUTIONS:
            raise UsageError(f"VGG: depth {depth}; allowed: {', '.join(map(str, _CONVOLUTIONS))}")
        self.features = nn.Sequential()
        previous = in_channels
        for group, num_convolutions in enumerate(_CONVOLUTIONS[depth], start=1):
            channels = width * 2 ** min(group - 1, 3)
            for number in range(1, num_convolutions + 1):
                name = f"{group}_{number}"
                conv = nn.Conv2d(previous, channels, 3, padding=1, bias=False)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                self.features.add_module(f"conv{name}", conv)
                self.features.add_module(f"bn{name}", nn.BatchNorm2d(channels))
                self.features.add_module(f"relu{name}", nn.ReLU())
                previous = channels
            self.features.add_module(f"pool{group}", nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(previous, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]` of images `[N, in_channels, 32, 32]`."""
        scores: Tensor = self.fc(self.flatten(self.features(x_NCHW)))
        return scores
