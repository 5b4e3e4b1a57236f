"""Replacing convolutions, and reading weights as their quantizers give them."""

from collections.abc import Callable

from torch import Tensor, nn

from quantlab.algorithms.layers import through
from quantlab.quantizer import Quantizer

Selector = Callable[[nn.Conv2d], bool]


def is_3x3(conv: nn.Conv2d) -> bool:
    """Return whether a convolution has 3x3 kernels over all channels."""
    return conv.kernel_size == (3, 3) and conv.groups == 1


def is_dense(conv: nn.Conv2d) -> bool:
    """Return whether a convolution is over all channels."""
    return conv.groups == 1


def replace_convolutions(
    network: nn.Module, make: Callable[[nn.Conv2d], nn.Module], selects: Selector = is_3x3
) -> nn.Module:
    """Put `make(conv)` in the place of each convolution that is selected; return the network."""
    layers = dict(network.named_modules())
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d) and selects(layer):
            network.set_submodule(name, make(layer))
    return network


def weight_of(layer: nn.Conv2d) -> Tensor:
    """Return a layer's weight, through its quantizer if it has one."""
    quantizer = layer._modules.get("weight_quantizer")
    return through(quantizer if isinstance(quantizer, Quantizer) else None, layer.weight)


def new_conv(
    like: nn.Conv2d,
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, ...] = (1, 1),
    *,
    groups: int = 1,
    is_placed: bool = False,
    has_bias: bool = False,
) -> nn.Conv2d:
    """Return a convolution on the device and in the type of another.

    is_placed: with the other's stride, padding and dilation.
    """
    height, width = kernel_size
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        (height, width),
        groups=groups,
        bias=has_bias,
        device=like.weight.device,
        dtype=like.weight.dtype,
    )
    if is_placed:
        conv.stride, conv.padding, conv.dilation = like.stride, like.padding, like.dilation
    return conv
