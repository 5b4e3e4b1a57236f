"""A multilayer perceptron on the pixels.

Shapes: N images, C channels, H x W pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers of the widths `hidden`, each with ReLU, and a last one to the classes."""

    def __init__(
        self,
        num_classes: int = 10,
        in_features: int = 28 * 28,
        hidden: Sequence[int] = (256, 128),
    ) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        layers = nn.Sequential()
        width = in_features
        for number, next_width in enumerate(hidden, start=1):
            layers.add_module(f"fc{number}", nn.Linear(width, next_width))
            layers.add_module(f"relu{number}", nn.ReLU())
            width = next_width
        layers.add_module(f"fc{len(hidden) + 1}", nn.Linear(width, num_classes))
        self.layers = layers

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return the scores `[N, num_classes]` of images with `in_features` pixels in all."""
        scores: Tensor = self.layers(self.flatten(x_NCHW))
        return scores
