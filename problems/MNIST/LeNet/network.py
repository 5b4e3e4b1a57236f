"""LeNet-5, after Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998;
with ReLU, max pooling and full connections, as it is used today.

Shapes: N images, C channels, 28 x 28 pixels.
"""

from collections import OrderedDict

from torch import Tensor, nn


class LeNet(nn.Module):
    """Two convolutions 5x5, each with ReLU and pooling, then two linear layers."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        channels: tuple[int, int] = (16, 32),
        hidden: int = 128,
    ) -> None:
        super().__init__()
        first, second = channels
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, first, kernel_size=5),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(first, second, kernel_size=5),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
            )
        )
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(second * 4 * 4, hidden),
                relu3=nn.ReLU(),
                fc2=nn.Linear(hidden, num_classes),
            )
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]` of images `[N, in_channels, 28, 28]`."""
        scores: Tensor = self.classifier(self.flatten(self.features(x_NCHW)))
        return scores
