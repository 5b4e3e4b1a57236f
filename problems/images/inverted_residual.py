"""Inverted residuals, after M. Sandler et al., "MobileNetV2: inverted residuals and linear
bottlenecks", 2018.

Parameters are named as torchvision names them, so that its checkpoints load; unlike there, each
activation works out of place, so that graphs can be edited and monitors may keep what they see.

Shapes: N images, C channels, H x W pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

# Table 2: (expansion, channels, blocks) of each stage.
_STAGES = (
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 3),
    (6, 64, 4),
    (6, 96, 3),
    (6, 160, 3),
    (6, 320, 1),
)
_STEM = 32
_LAST = 1280


class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each channel, narrow; added to the input where it fits."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.is_residual = stride == 1 and in_channels == out_channels
        widen = [] if expansion == 1 else [conv_bn_relu6(in_channels, hidden, 1)]
        self.conv = nn.Sequential(
            *widen,
            conv_bn_relu6(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW: Tensor = self.conv(x_NCHW)
        return x_NCHW + out_NCHW if self.is_residual else out_NCHW


def inverted_residual_features(
    in_channels: int, *, width: float, stem_stride: int, strides: Sequence[int]
) -> nn.Sequential:
    """Return the stem, the 17 blocks of table 2 and the last 1x1 convolution, named `0` to `18`.

    width: scales all channels. strides: of the first block of each of the seven stages.
    """
    previous = round_to_8(_STEM * width)
    features = nn.Sequential(conv_bn_relu6(in_channels, previous, 3, stride=stem_stride))
    for (expansion, channels, num_blocks), first_stride in zip(_STAGES, strides, strict=True):
        for number in range(num_blocks):
            stride = first_stride if number == 0 else 1
            out_channels = round_to_8(channels * width)
            features.append(InvertedResidual(previous, out_channels, stride, expansion))
            previous = out_channels
    return features.append(conv_bn_relu6(previous, num_features(width), 1))


class InvertedResidualNetwork(nn.Module):
    """A stem, inverted residuals, a 1x1 convolution and a linear layer: what MobileNetV2s share.

    stem_stride, strides: of the stem, and of the first block of each stage. `width` scales all
    channels, to multiples of eight.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        width: float,
        dropout: float,
        *,
        stem_stride: int,
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        self.features = inverted_residual_features(
            in_channels, width=width, stem_stride=stem_stride, strides=strides
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


def num_features(width: float) -> int:
    """Return the channels of the last 1x1 convolution, which widths below 1 do not narrow."""
    return round_to_8(_LAST * max(1.0, width))


def conv_bn_relu6(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a padded convolution, its batch norm and the activation, named `0`, `1`, `2`."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=(kernel - 1) // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


def round_to_8(channels: float) -> int:
    """Return the nearest multiple of 8, but at least 8 and at least 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def initialize(network: nn.Module) -> None:
    """Fill convolutions by fan out (He et al., 2015, eq. 10), linear layers by N(0, 0.01)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)
