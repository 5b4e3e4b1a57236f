"""MobileNetV2 for 32 x 32 images, after M. Sandler et al., "MobileNetV2: inverted residuals and
linear bottlenecks", 2018, table 2.

Shapes: N images, C channels, H x W pixels.
"""

from problems.images.inverted_residual import InvertedResidualNetwork


class MobileNetV2(InvertedResidualNetwork):
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
        super().__init__(
            num_classes, in_channels, width, dropout, stem_stride=1, strides=(1, 1, 2, 2, 1, 2, 1)
        )
