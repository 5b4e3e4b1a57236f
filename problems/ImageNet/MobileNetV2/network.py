"""MobileNetV2, after M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks",
2018, table 2; parameters named as in torchvision, so that its checkpoints load.

Shapes: N images, C channels, H x W pixels.
"""

from problems.images.inverted_residual import InvertedResidualNetwork


class MobileNetV2(InvertedResidualNetwork):
    """A stem, 17 inverted residuals, a 1x1 convolution and a linear layer.

    `width` scales all channels, to multiples of eight (0.35, 0.5, 0.75, 1.0, 1.4 were published).
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            num_classes, in_channels, width, dropout, stem_stride=2, strides=(1, 2, 2, 2, 1, 2, 1)
        )
