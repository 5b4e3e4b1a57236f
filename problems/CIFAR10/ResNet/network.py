"""Residual networks for 32 x 32 images, after K. He et al., "Deep residual learning for image
recognition", 2015.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

from problems.images.residual import basic_stage, initialize
from quantlab.errors import UsageError


class ResNet(nn.Module):
    """A 3x3 stem and stages of basic blocks; each stage after the first halves height and width.

    depth 6n + 2 (20, 32, 44, 56, 110): three stages of n blocks with 16, 32, 64 channels (section
    4.2; where the shape changes, the shortcut is a 1x1 convolution, the paper's option B).
    depth 18: four stages of two blocks with 64, 128, 256, 512 channels (table 1, with a 3x3 stem).
    width: channels of the first stage instead; later stages have 2, 4, 8 times as many.
    fc_bias: whether the last layer has a bias.
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        width: int | None = None,
        fc_bias: bool = True,
    ) -> None:
        super().__init__()
        widths, num_blocks = _stages(depth, width)
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.layers = nn.Sequential()
        previous = widths[0]
        for number, channels in enumerate(widths, start=1):
            stride = 1 if number == 1 else 2
            stage = basic_stage(previous, channels, num_blocks, stride)
            self.layers.add_module(f"layer{number}", stage)
            previous = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(previous, num_classes, bias=fc_bias)
        initialize(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.layers(self.relu(self.bn1(self.conv1(x_NCHW))))
        scores: Tensor = self.fc(self.flatten(self.avgpool(features)))
        return scores


def _stages(depth: int, width: int | None) -> tuple[tuple[int, ...], int]:
    """Return the widths of the stages and the number of blocks in each."""
    if width is not None and width < 1:
        raise UsageError(f"ResNet: width {width}; allowed: 1 and above")
    if depth == 18:
        first = 64 if width is None else width
        return (first, 2 * first, 4 * first, 8 * first), 2
    if depth < 8 or depth % 6 != 2:
        raise UsageError(f"ResNet: depth {depth}; allowed: 18, and 6n + 2 (20, 32, 44, 56, 110)")
    first = 16 if width is None else width
    return (first, 2 * first, 4 * first), (depth - 2) // 6
