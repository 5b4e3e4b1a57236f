"""Residual blocks, after K. He et al., "Deep residual learning for image recognition", 2015.

Parameters are named as torchvision names them, so that its checkpoints load; unlike there, each
activation is a module of its own and works out of place, so that graphs can be edited and monitors
may keep what they see.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

# "Deeper Bottleneck Architectures": the last convolution widens four times.
EXPANSION = 4


class BasicBlock(nn.Module):
    """Two convolutions 3x3; their result is added to the input."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _projection(in_channels, channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        residual = self.bn1(self.conv1(x_NCHW))
        residual = self.bn2(self.conv2(self.relu1(residual)))
        shortcut = x_NCHW if self.downsample is None else self.downsample(x_NCHW)
        out_NCHW: Tensor = self.relu2(residual + shortcut)
        return out_NCHW


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 (with the stride) and 1x1, to `EXPANSION * channels` channels."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        residual = self.bn1(self.conv1(x_NCHW))
        residual = self.bn2(self.conv2(self.relu1(residual)))
        residual = self.bn3(self.conv3(self.relu2(residual)))
        shortcut = x_NCHW if self.downsample is None else self.downsample(x_NCHW)
        out_NCHW: Tensor = self.relu3(residual + shortcut)
        return out_NCHW


def basic_stage(in_channels: int, channels: int, num_blocks: int, stride: int) -> nn.Sequential:
    """Return basic blocks named `0`, `1`, ...; the first one has the stride."""
    first = BasicBlock(in_channels, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels) for _ in range(num_blocks - 1)))


def bottleneck_stage(
    in_channels: int, channels: int, num_blocks: int, stride: int
) -> nn.Sequential:
    """Return bottlenecks named `0`, `1`, ...; the first one has the stride."""
    first, wide = Bottleneck(in_channels, channels, stride), EXPANSION * channels
    return nn.Sequential(first, *(Bottleneck(wide, channels) for _ in range(num_blocks - 1)))


def initialize(network: nn.Module) -> None:
    """Fill convolutions by K. He et al., "Delving deep into rectifiers", 2015, eq. 10 (fan out)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Return the convolution of a shortcut that changes shape, None for one that does not."""
    if stride == 1 and in_channels == out_channels:
        return None
    conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
