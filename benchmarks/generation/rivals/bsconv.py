"""BSConv-U: a 1x1 convolution, then one kernel for each output channel (D. Haase and M. Amthor,
"Rethinking depthwise separable convolutions", 2020, section 3.1).

    W[o, i] = pointwise[o, i] depthwise[o]
"""

from collections import OrderedDict

import torch
from torch import nn

from benchmarks.generation.rivals.rank_one import rank_one
from benchmarks.generation.rivals.replace import new_conv, replace_convolutions


def convert(network: nn.Module) -> nn.Module:
    """Replace 3x3 convolutions; see the package."""
    return replace_convolutions(network, bsconv)


def bsconv(conv: nn.Conv2d) -> nn.Sequential:
    """Return the pair of layers nearest to a convolution."""
    has_bias = conv.bias is not None
    pointwise = new_conv(conv, conv.in_channels, conv.out_channels)
    depthwise = new_conv(
        conv,
        conv.out_channels,
        conv.out_channels,
        conv.kernel_size,
        groups=conv.out_channels,
        is_placed=True,
        has_bias=has_bias,
    )
    with torch.no_grad():
        channels_OI, kernels_OK = rank_one(conv.weight.flatten(2))
        pointwise.weight.copy_(channels_OI.view_as(pointwise.weight))
        depthwise.weight.copy_(kernels_OK.view_as(depthwise.weight))
        if conv.bias is not None and depthwise.bias is not None:
            depthwise.bias.copy_(conv.bias)
    return nn.Sequential(OrderedDict(pointwise=pointwise, depthwise=depthwise))
