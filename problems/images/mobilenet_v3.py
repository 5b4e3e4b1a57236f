"""MobileNetV3's blocks and networks, after A. Howard et al., "Searching for MobileNetV3", 2019,
tables 1 and 2.

Parameters are named as torchvision names them, so that its checkpoints load; unlike there, each
activation and product is a module of its own and works out of place, so that graphs can be edited
and monitors may keep what they see. Batch norms have torchvision's epsilon, and torch's own
momentum of 0.1 instead of 0.01, since small data sets have few steps.

Shapes: N images, C channels, H x W pixels.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from problems.images.inverted_residual import initialize, round_to_8
from quantlab.errors import UsageError
from quantlab.graphs.operations import Multiply

Size = Literal["large", "small"]
_EPSILON = 1e-3
_STEM = 16


@dataclass(frozen=True)
class _Row:
    """A row of a table: kernel, channels in between, channels, squeeze-and-excite, hard swish,
    whether it halves height and width."""

    kernel: int
    hidden: int
    channels: int
    is_gated: bool
    is_swish: bool
    halves: bool


_ROWS: dict[str, tuple[_Row, ...]] = {
    "large": (
        _Row(3, 16, 16, False, False, False),
        _Row(3, 64, 24, False, False, True),
        _Row(3, 72, 24, False, False, False),
        _Row(5, 72, 40, True, False, True),
        _Row(5, 120, 40, True, False, False),
        _Row(5, 120, 40, True, False, False),
        _Row(3, 240, 80, False, True, True),
        _Row(3, 200, 80, False, True, False),
        _Row(3, 184, 80, False, True, False),
        _Row(3, 184, 80, False, True, False),
        _Row(3, 480, 112, True, True, False),
        _Row(3, 672, 112, True, True, False),
        _Row(5, 672, 160, True, True, True),
        _Row(5, 960, 160, True, True, False),
        _Row(5, 960, 160, True, True, False),
    ),
    "small": (
        _Row(3, 16, 16, True, False, True),
        _Row(3, 72, 24, False, False, True),
        _Row(3, 88, 24, False, False, False),
        _Row(5, 96, 40, True, True, True),
        _Row(5, 240, 40, True, True, False),
        _Row(5, 240, 40, True, True, False),
        _Row(5, 120, 48, True, True, False),
        _Row(5, 144, 48, True, True, False),
        _Row(5, 288, 96, True, True, True),
        _Row(5, 576, 96, True, True, False),
        _Row(5, 576, 96, True, True, False),
    ),
}
# Channels before the scores.
_LAST = {"large": 1280, "small": 1024}


class SqueezeExcitation(nn.Module):
    """Scale each channel by a factor that two 1x1 convolutions make of all channels' means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.scale_activation = nn.Hardsigmoid()
        self.multiply = Multiply()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        squeezed = self.activation(self.fc1(self.avgpool(x_NCHW)))
        factors_NC11 = self.scale_activation(self.fc2(squeezed))
        out_NCHW: Tensor = self.multiply(factors_NC11, x_NCHW)
        return out_NCHW


class GatedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each channel, scale channels, narrow; added to the input
    where it fits."""

    def __init__(self, in_channels: int, row: _Row, width: float, stride: int) -> None:
        super().__init__()
        hidden, out_channels = round_to_8(row.hidden * width), round_to_8(row.channels * width)
        activation = nn.Hardswish if row.is_swish else nn.ReLU
        self.is_residual = stride == 1 and in_channels == out_channels
        self.block = nn.Sequential()
        if hidden != in_channels:
            self.block.append(_conv_bn(in_channels, hidden, 1).append(activation()))
        filtered = _conv_bn(hidden, hidden, row.kernel, stride=stride, groups=hidden)
        self.block.append(filtered.append(activation()))
        if row.is_gated:
            self.block.append(SqueezeExcitation(hidden, round_to_8(hidden // 4)))
        self.block.append(_conv_bn(hidden, out_channels, 1))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW: Tensor = self.block(x_NCHW)
        return out_NCHW + x_NCHW if self.is_residual else out_NCHW


class MobileNetV3Network(nn.Module):
    """A stem, gated residuals, a 1x1 convolution and two linear layers.

    size: `large` (table 1) or `small` (table 2). width: scales all channels, to multiples of eight.
    num_full: how many of the five halvings of height and width, from the stem on, are left out.
    Raises UsageError for another size or a width that is not above 0.
    """

    def __init__(
        self,
        size: str,
        num_classes: int,
        in_channels: int,
        width: float,
        dropout: float,
        *,
        num_full: int = 0,
    ) -> None:
        super().__init__()
        if size not in _ROWS:
            raise UsageError(f"MobileNetV3: size {size!r}; allowed: {', '.join(_ROWS)}")
        if not width > 0:
            raise UsageError(f"MobileNetV3: width {width}; allowed: above 0")
        previous = round_to_8(_STEM * width)
        stem = _conv_bn(in_channels, previous, 3, stride=1 if num_full > 0 else 2)
        self.features = nn.Sequential(stem.append(nn.Hardswish()))
        num_halvings = 1
        for row in _ROWS[size]:
            num_halvings += row.halves
            stride = 2 if row.halves and num_halvings > num_full else 1
            self.features.append(GatedResidual(previous, row, width, stride))
            previous = round_to_8(row.channels * width)
        self.features.append(_conv_bn(previous, 6 * previous, 1).append(nn.Hardswish()))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        last = round_to_8(_LAST[size] * width)
        self.classifier = nn.Sequential(
            nn.Linear(6 * previous, last),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(last, num_classes),
        )
        initialize(self)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.flatten(self.avgpool(self.features(x_NCHW)))
        scores: Tensor = self.classifier(features)
        return scores


def _conv_bn(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a padded convolution and its batch norm, named `0` and `1`."""
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=_EPSILON),
    )
