"""A convolutional network for binary weights and activations: batch norms before every rounding,
no padding, so that each layer is a count of bits.

Shapes: N images, C channels, 28 x 28 pixels.
"""

from collections import OrderedDict

from torch import Tensor, nn


class BinaryCNN(nn.Module):
    """Two convolutions 3x3, each with batch norm, ReLU and pooling, then two linear layers."""

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        channels: tuple[int, int] = (32, 64),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        first, second = channels
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, first, kernel_size=3, bias=False),
                bn1=nn.BatchNorm2d(first),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(first, second, kernel_size=3, bias=False),
                bn2=nn.BatchNorm2d(second),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
            )
        )
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(second * 5 * 5, hidden, bias=False),
                bn3=nn.BatchNorm1d(hidden),
                relu3=nn.ReLU(),
                fc2=nn.Linear(hidden, num_classes),
            )
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]` of images `[N, in_channels, 28, 28]`."""
        scores: Tensor = self.classifier(self.flatten(self.features(x_NCHW)))
        return scores
