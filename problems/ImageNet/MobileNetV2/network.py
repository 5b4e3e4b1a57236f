"""MobileNetV2, after M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks",
2018, table 2; parameters named as in torchvision, so that its checkpoints load.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

# (expansion, channels, blocks, stride of the first block)
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM = 32
_LAST = 1280


class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each channel, narrow; added to the input where it fits."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.is_residual = stride == 1 and in_channels == out_channels
        widen = [] if expansion == 1 else [_conv_bn_relu(in_channels, hidden, 1)]
        self.conv = nn.Sequential(
            *widen,
            _conv_bn_relu(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW: Tensor = self.conv(x_NCHW)
        return x_NCHW + out_NCHW if self.is_residual else out_NCHW


class MobileNetV2(nn.Module):
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
        super().__init__()
        previous = _round_to_8(_STEM * width)
        last = _round_to_8(_LAST * max(1.0, width))
        self.features = nn.Sequential(_conv_bn_relu(in_channels, previous, 3, stride=2))
        for expansion, channels, num_blocks, first_stride in _STAGES:
            for number in range(num_blocks):
                stride = first_stride if number == 0 else 1
                out_channels = _round_to_8(channels * width)
                self.features.append(InvertedResidual(previous, out_channels, stride, expansion))
                previous = out_channels
        self.features.append(_conv_bn_relu(previous, last, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        _initialize(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.flatten(self.avgpool(self.features(x_NCHW)))
        scores: Tensor = self.classifier(features)
        return scores


def _conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
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


def _round_to_8(channels: float) -> int:
    """Return the nearest multiple of 8, but at least 8 and at least 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _initialize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)
