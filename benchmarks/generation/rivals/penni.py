"""PENNI: the kernels of a layer are sums of a few common ones (S. Li et al., "PENNI: pruned kernel
sharing for efficient CNN inference", 2020, section 3.1; without its pruning).

    W[o, i] = sum over d of coefficients[o, i, d] basis[d]
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.generation.rivals.replace import new_conv, replace_convolutions, weight_of


class PenniConv2d(nn.Module):
    """A convolution with `num_bases` kernels. Its two layers only hold the factors."""

    def __init__(self, conv: nn.Conv2d, num_bases: int) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.bias = conv.bias
        self.basis = new_conv(conv, 1, num_bases, conv.kernel_size)
        self.coefficients = new_conv(conv, conv.in_channels * num_bases, conv.out_channels)
        with torch.no_grad():
            u, s, v = torch.linalg.svd(conv.weight.flatten(2).flatten(0, 1), full_matrices=False)
            # Norms of one are spread over both factors, as their quantizers like it.
            root = s[:num_bases].sqrt()
            self.basis.weight.copy_((v[:num_bases] * root[:, None]).view_as(self.basis.weight))
            pairs = u[:, :num_bases] * root
            self.coefficients.weight.copy_(pairs.reshape(self.coefficients.weight.shape))

    @property
    def weight(self) -> Tensor:
        """The kernels `[O, I, K, K]`."""
        basis, coefficients = weight_of(self.basis), weight_of(self.coefficients)
        num_bases, _, *kernel = basis.shape
        pairs = coefficients.reshape(-1, num_bases) @ basis.flatten(1)
        return pairs.view(coefficients.shape[0], -1, *kernel)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.conv2d(
            x_NCHW, self.weight, self.bias, self.stride, self.padding, self.dilation
        )


def convert(network: nn.Module, *, num_bases: int = 2) -> nn.Module:
    """Replace 3x3 convolutions; see the package."""
    return replace_convolutions(network, lambda conv: PenniConv2d(conv, num_bases))
