"""CirCNN: over channels, weights are circulant blocks (C. Ding et al., "CirCNN: accelerating and
compressing deep neural networks using block-circulant weight matrices", 2017, section 3).

    W[b k + p, c k + q] = first[b, c, (p - q) mod k]        blocks of k x k channels
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.generation.rivals.replace import (
    is_dense,
    new_conv,
    replace_convolutions,
    weight_of,
)


class CirculantConv2d(nn.Module):
    """A convolution of circulant blocks; channels that fill no block are padded. Its layer only
    holds the first columns."""

    def __init__(self, conv: nn.Conv2d, block: int) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.bias = conv.bias
        self.block, self.channels = block, (conv.out_channels, conv.in_channels)
        rows, columns = (math.ceil(channels / block) for channels in self.channels)
        self.first = new_conv(conv, columns * block, rows, conv.kernel_size)
        with torch.no_grad():
            self.first.weight.copy_(_nearest(conv.weight, rows, columns, block))

    @property
    def weight(self) -> Tensor:
        """The kernels `[O, I, K, K]`."""
        held = weight_of(self.first)
        first = held.view(held.shape[0], -1, self.block, *held.shape[2:])  # [B, C, k, K, K]
        columns = [first.roll(shift, 2) for shift in range(self.block)]
        whole = torch.stack(columns, 3).transpose(1, 2)  # [B, p, C, q, K, K]
        whole = whole.flatten(0, 1).flatten(1, 2)
        return whole[: self.channels[0], : self.channels[1]]

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.conv2d(
            x_NCHW, self.weight, self.bias, self.stride, self.padding, self.dilation
        )


def convert(network: nn.Module, *, block: int = 4) -> nn.Module:
    """Replace all convolutions that are over all channels, the 1x1 ones too; see the package."""
    return replace_convolutions(network, lambda conv: CirculantConv2d(conv, block), is_dense)


def _nearest(weight: Tensor, rows: int, columns: int, block: int) -> Tensor:
    """Return first columns with the least squared error: means along the diagonals of each block,
    over the channels that are there."""
    padded = weight.new_zeros(rows * block, columns * block, *weight.shape[2:])
    padded[: weight.shape[0], : weight.shape[1]] = weight
    there = weight.new_zeros(rows * block, columns * block, 1, 1)
    there[: weight.shape[0], : weight.shape[1]] = 1.0
    sums, counts = (_along_diagonals(x, rows, columns, block) for x in (padded, there))
    return (sums / counts.clamp(min=1.0)).flatten(1, 2)


def _along_diagonals(x: Tensor, rows: int, columns: int, block: int) -> Tensor:
    """Return the sums of what a circulant block has alike, `[B, C, k, K, K]`."""
    blocks = x.view(rows, block, columns, block, *x.shape[2:]).transpose(1, 2)  # [B, C, p, q, ...]
    shifted = [blocks[:, :, :, shift].roll(-shift, 2) for shift in range(block)]
    return torch.stack(shifted).sum(0)
