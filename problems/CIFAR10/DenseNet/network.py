"""Densely connected networks for 32 x 32 images, after G. Huang et al., "Densely connected
convolutional networks", 2016.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

from problems.images.dense import dense_block, transition
from problems.images.residual import initialize
from quantlab.errors import UsageError

# Table 1: layers of each block.
_IMAGENET_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


class DenseNet(nn.Module):
    """A 3x3 stem and dense blocks; a transition between two halves channels, height and width.

    depth 121, 169, 201: four blocks as in table 1; with a growth of 32, as MLG compresses them.
    depth 6n + 4 (40, 100, 190, 250): three blocks of n layers (section 3, "implementation
    details"), with a growth of 12, 24 or 40.
    fc_bias: whether the last layer has a bias.
    """

    def __init__(
        self,
        depth: int = 121,
        num_classes: int = 10,
        in_channels: int = 3,
        growth: int = 32,
        fc_bias: bool = True,
    ) -> None:
        super().__init__()
        if growth < 1:
            raise UsageError(f"DenseNet: growth {growth}; allowed: 1 and above")
        channels = 2 * growth
        self.features = nn.Sequential()
        self.features.add_module(
            "conv0", nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        )
        blocks = _blocks(depth)
        for number, num_layers in enumerate(blocks, start=1):
            block = dense_block(channels, num_layers, growth)
            self.features.add_module(f"denseblock{number}", block)
            channels += num_layers * growth
            if number < len(blocks):
                between = transition(channels, channels // 2)
                self.features.add_module(f"transition{number}", between)
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.features.add_module("relu5", nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(channels, num_classes, bias=fc_bias)
        initialize(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        scores: Tensor = self.classifier(self.flatten(self.avgpool(self.features(x_NCHW))))
        return scores


def _blocks(depth: int) -> tuple[int, ...]:
    """Return the layers of each block."""
    if depth in _IMAGENET_BLOCKS:
        return _IMAGENET_BLOCKS[depth]
    if depth < 10 or depth % 6 != 4:
        raise UsageError(
            f"DenseNet: depth {depth}; allowed: 121, 169, 201, and 6n + 4 (40, 100, 190, 250)"
        )
    return ((depth - 4) // 6,) * 3
