"""Residual networks, after K. He et al., "Deep residual learning for image recognition", 2015,
table 1; parameters named as in torchvision, so that its checkpoints load. The 50-layer network has
its strides in the 3x3 convolutions, as there.

Shapes: N images, C channels, H x W pixels.
"""

from torch import Tensor, nn

from problems.images.residual import EXPANSION, basic_stage, bottleneck_stage, initialize
from quantlab.errors import UsageError

_WIDTHS = (64, 128, 256, 512)
_NUM_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
# From this depth on, stages are made of bottlenecks.
_FIRST_DEEP = 50


class ResNet(nn.Module):
    """A 7x7 stem with pooling and four stages, of basic blocks (18, 34) or bottlenecks (50)."""

    def __init__(self, depth: int = 18, num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        if depth not in _NUM_BLOCKS:
            raise UsageError(f"ResNet: depth {depth}; allowed: {', '.join(map(str, _NUM_BLOCKS))}")
        is_deep = depth >= _FIRST_DEEP
        stage = bottleneck_stage if is_deep else basic_stage
        expansion = EXPANSION if is_deep else 1
        num_blocks = _NUM_BLOCKS[depth]
        after_1, after_2, after_3, after_4 = (expansion * width for width in _WIDTHS)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, _WIDTHS[0], num_blocks[0], 1)
        self.layer2 = stage(after_1, _WIDTHS[1], num_blocks[1], 2)
        self.layer3 = stage(after_2, _WIDTHS[2], num_blocks[2], 2)
        self.layer4 = stage(after_3, _WIDTHS[3], num_blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(after_4, num_classes)
        initialize(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]`."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(x_NCHW))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        scores: Tensor = self.fc(self.flatten(self.avgpool(features)))
        return scores
