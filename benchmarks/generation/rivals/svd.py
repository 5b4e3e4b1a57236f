"""Low rank: a convolution to a few channels and a 1x1 convolution from them, by the truncated
singular value decomposition of the weight `[O, I K K]` (E. Denton et al., "Exploiting linear
structure within convolutional networks for efficient evaluation", 2014, section 3.2).
"""

from collections import OrderedDict

import torch
from torch import nn

from benchmarks.generation.rivals.replace import is_dense, new_conv, replace_convolutions

MIN_CHANNELS = 8  # a stem has little to save, and much to lose


def convert(network: nn.Module, *, share: float) -> nn.Module:
    """Replace convolutions of at least MIN_CHANNELS input channels; see the package.

    share: of each layer's full rank, from 0 to 1; at least one is left.
    """
    return replace_convolutions(
        network,
        lambda conv: low_rank(conv, share),
        lambda conv: is_dense(conv) and conv.in_channels >= MIN_CHANNELS,
    )


def low_rank(conv: nn.Conv2d, share: float) -> nn.Sequential:
    """Return the pair of layers nearest to a convolution."""
    matrix = conv.weight.flatten(1)
    rank = max(1, round(share * min(matrix.shape)))
    narrow = new_conv(conv, conv.in_channels, rank, conv.kernel_size, is_placed=True)
    wide = new_conv(conv, rank, conv.out_channels, has_bias=conv.bias is not None)
    with torch.no_grad():
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        root = s[:rank].sqrt()
        narrow.weight.copy_((v[:rank] * root[:, None]).view_as(narrow.weight))
        wide.weight.copy_((u[:, :rank] * root).view_as(wide.weight))
        if conv.bias is not None and wide.bias is not None:
            wide.bias.copy_(conv.bias)
    return nn.Sequential(OrderedDict(narrow=narrow, wide=wide))
