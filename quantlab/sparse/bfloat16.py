"""Dense layers that compute in bfloat16, on parameters of the type that they had."""

from typing import Self, cast

import torch
from torch import Tensor, nn

from quantlab.graphs.replace import DenseLayer
from quantlab.sparse.geometry import Pair


class Bfloat16Linear(nn.Linear):
    """A Linear under autocast; the output is of the input's type."""

    @classmethod
    def from_dense(cls, linear: nn.Linear) -> Self:
        """Return the layer on the parameters of another one, the same objects."""
        with torch.device("meta"):
            layer = cls(linear.in_features, linear.out_features, linear.bias is not None)
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer.train(linear.training)

    def forward(self, input: Tensor) -> Tensor:
        """Return the output, `[..., out_features]`."""
        with torch.autocast("cpu", torch.bfloat16):
            y = super().forward(input)
        return y.to(input.dtype)


class Bfloat16Conv2d(nn.Conv2d):
    """A Conv2d under autocast; the output is of the input's type."""

    @classmethod
    def from_dense(cls, conv: nn.Conv2d) -> Self:
        """Return the layer on the parameters of another one, the same objects."""
        with torch.device("meta"):
            layer = cls(
                conv.in_channels,
                conv.out_channels,
                cast(Pair, conv.kernel_size),
                cast(Pair, conv.stride),
                cast(Pair | str, conv.padding),
                cast(Pair, conv.dilation),
                conv.groups,
                conv.bias is not None,
                conv.padding_mode,
            )
        layer.weight, layer.bias = conv.weight, conv.bias
        return layer.train(conv.training)

    def forward(self, input: Tensor) -> Tensor:
        """Return the output, `[B, O, H', W']` or `[O, H', W']`."""
        with torch.autocast("cpu", torch.bfloat16):
            y = super().forward(input)
        return y.to(input.dtype)


def to_bfloat16(layer: DenseLayer) -> nn.Module:
    """Return a layer's twin that computes in bfloat16."""
    if isinstance(layer, nn.Linear):
        return Bfloat16Linear.from_dense(layer)
    return Bfloat16Conv2d.from_dense(layer)
