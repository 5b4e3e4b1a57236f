"""MobileNetV3 for 32 x 32 images, after A. Howard et al., "Searching for MobileNetV3", 2019, tables
1 and 2.

Shapes: N images, C channels, H x W pixels.
"""

from problems.images.mobilenet_v3 import MobileNetV3Network


class MobileNetV3(MobileNetV3Network):
    """A stem, 15 (`large`) or 11 (`small`) gated residuals, a 1x1 convolution, two linear layers.

    As in MobileNetV2, the stem and the first block that would halve height and width keep them, so
    that the last map has 4 x 4 pixels. Parameters have the names and shapes of ImageNet's, so that
    the `features` of its checkpoints load. `width` scales all channels, to multiples of eight.
    """

    def __init__(
        self,
        size: str = "small",
        num_classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(size, num_classes, in_channels, width, dropout, num_full=2)
