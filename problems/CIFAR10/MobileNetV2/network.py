"""MobileNetV2 for 32 x 32 images, after M. Sandler et al., "MobileNetV2: inverted residuals and
linear bottlenecks", 2018, table 2.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

from problems.images.inverted_residual import (
    initialize,
    inverted_residual_features,
    num_features,
)


class MobileNetV2(nn.Module):
    """A stem, 17 inverted residuals, a 1x1 convolution and a linear layer.

    As is usual for 32 x 32 pixels, the stem and stage 2 keep height and width, so that the last map
    has 4 x 4 pixels. Parameters have the names and shapes of ImageNet's, so that the `features` of
    its checkpoints load. `width` scales all channels, to multiples of eight.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.features = inverted_residual_features(
            in_channels, width=width, stem_stride=1, strides=(1, 1, 2, 2, 1, 2, 1)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(num_features(width), num_classes)
        )
        initialize(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.flatten(self.avgpool(self.features(x_NCHW)))
        scores: Tensor = self.classifier(features)
        return scores
