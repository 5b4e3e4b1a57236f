"""Depthwise separable convolutions: one kernel for each input channel, then a 1x1 convolution (A.
Howard et al., "MobileNets", 2017, section 3.1).

    W[o, i] = pointwise[o, i] depthwise[i]
"""

from collections import OrderedDict

import torch
from torch import nn

from benchmarks.generation.rivals.rank_one import rank_one
from benchmarks.generation.rivals.replace import new_conv, replace_convolutions


def convert(network: nn.Module) -> nn.Module:
    """Replace 3x3 convolutions; see the package."""
    return replace_convolutions(network, dsconv)


def dsconv(conv: nn.Conv2d) -> nn.Sequential:
    """Return the pair of layers nearest to a convolution."""
    has_bias = conv.bias is not None
    depthwise = new_conv(
        conv,
        conv.in_channels,
        conv.in_channels,
        conv.kernel_size,
        groups=conv.in_channels,
        is_placed=True,
    )
    pointwise = new_conv(conv, conv.in_channels, conv.out_channels, has_bias=has_bias)
    with torch.no_grad():
        channels_IO, kernels_IK = rank_one(conv.weight.flatten(2).transpose(0, 1))
        pointwise.weight.copy_(channels_IO.t().reshape(pointwise.weight.shape))
        depthwise.weight.copy_(kernels_IK.view_as(depthwise.weight))
        if conv.bias is not None and pointwise.bias is not None:
            pointwise.bias.copy_(conv.bias)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))
