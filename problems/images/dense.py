"""Densely connected blocks, after G. Huang et al., "Densely connected convolutional networks",
2016, with bottlenecks and compression (DenseNet-BC).

Parameters are named as torchvision names them, so that its checkpoints load; unlike there, each
activation and concatenation is a module of its own and works out of place, so that graphs can be
edited and monitors may keep what they see. A layer passes on its input and its own channels behind
it, which are the channels that torchvision concatenates once more for each layer.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

from quantlab.graphs.operations import Concat

# "Bottleneck layers": the 1x1 convolution makes four times the growth.
_BOTTLENECK = 4


class DenseLayer(nn.Module):
    """Norm, 1x1 convolution, norm, 3x3 convolution; `growth` new channels behind the input's."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, _BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(_BOTTLENECK * growth)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        self.concat = Concat(1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        hidden = self.conv1(self.relu1(self.norm1(x_NCHW)))
        new = self.conv2(self.relu2(self.norm2(hidden)))
        out_NCHW: Tensor = self.concat(x_NCHW, new)
        return out_NCHW


def dense_block(in_channels: int, num_layers: int, growth: int) -> nn.Sequential:
    """Return layers named `denselayer1`, ...; the last one gives
    `in_channels + num_layers * growth` channels."""
    block = nn.Sequential()
    for number in range(num_layers):
        layer = DenseLayer(in_channels + number * growth, growth)
        block.add_module(f"denselayer{number + 1}", layer)
    return block


def transition(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return norm, 1x1 convolution and pooling, which halves height and width."""
    layers = nn.Sequential()
    layers.add_module("norm", nn.BatchNorm2d(in_channels))
    layers.add_module("relu", nn.ReLU())
    layers.add_module("conv", nn.Conv2d(in_channels, out_channels, 1, bias=False))
    layers.add_module("pool", nn.AvgPool2d(2))
    return layers
