"""MobileNetV1, after A. Howard et al., "MobileNets: efficient convolutional neural networks for
mobile vision applications", 2017, table 1.

Of a quarter of the channels and 96 x 96 pixels it is MLPerf Tiny's network for "a person or not"
(C. Banbury et al., "MLPerf Tiny benchmark", 2021). Here are no such photos: it is for costs alone.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

_STEM = 32
# Channels and stride of each depthwise-separable block.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


class MobileNetV1(nn.Module):
    """A convolution of stride 2, 13 depthwise-separable blocks, the mean over all places.

    width: scales all channels.
    """

    def __init__(self, num_classes: int = 2, width: float = 0.25) -> None:
        super().__init__()
        channels = int(_STEM * width)
        self.features = nn.Sequential(conv_bn_relu(3, channels, 3, stride=2))
        for wide, stride in _BLOCKS:
            out_channels = int(wide * width)
            self.features.append(
                conv_bn_relu(channels, channels, 3, stride=stride, groups=channels)
            )
            self.features.append(conv_bn_relu(channels, out_channels, 1))
            channels = out_channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        scores: Tensor = self.fc(self.flatten(self.avgpool(self.features(x_NCHW))))
        return scores


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a padded convolution, its batch norm and a ReLU."""
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
