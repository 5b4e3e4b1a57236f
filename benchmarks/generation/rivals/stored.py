"""What a network takes in a file, counted to the byte.

Weights of `nn.Conv2d` and `nn.Linear` have `bits` each, those of the last layer LAST_BITS, and are
packed tensor by tensor. Floats have 4 bytes: a scale for each tensor, a scale and a shift for each
channel of a batch norm (its four numbers folded), a bias for each output. One scale for each output
channel is free where a batch norm is next, since it folds into that norm's; elsewhere each counts.
"""

import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from torch import nn

from quantlab.errors import UsageError
from quantlab.quantizer import Quantizer

FLOAT_BYTES = 4
LAST_BITS = 8


@runtime_checkable
class Stored(Protocol):
    """A module that counts its own numbers, but for its scales and its bias.

    num_scales: one, or one for each output channel.
    """

    num_scales: int

    def stored_bytes(self, bits: int) -> int:
        """Return the bytes."""


def file_bytes(network: nn.Module, bits: int) -> int:
    """Return the bytes of a network's numbers. Raises UsageError for those of a layer that it does
    not know."""
    layers = [part for part in _parts(network) if not isinstance(part, nn.BatchNorm2d)]
    of_last = _bytes_of(layers[-1], LAST_BITS)
    return sum(_bytes_of(layer, bits) for layer in layers[:-1]) + of_last + float_bytes(network)


def float_bytes(network: nn.Module) -> int:
    """Return the bytes of scales, norms and biases. Raises UsageError as `file_bytes`."""
    parts = list(_parts(network))
    count = 0
    for part, next_part in zip(parts, [*parts[1:], None], strict=True):
        if isinstance(part, nn.BatchNorm2d):
            count += 2 * part.num_features
        else:
            count += _num_scales(part, is_before_norm=isinstance(next_part, nn.BatchNorm2d))
    return FLOAT_BYTES * (count + _num_biases(network))


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that own numbers, in order."""
    for name, module in network.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | Stored):
            yield module
        elif not isinstance(module, Quantizer):
            if {key for key, _ in module.named_parameters(recurse=False)} - {"bias"}:
                raise UsageError(f"{name}: {type(module).__name__} has numbers of its own")
            yield from _parts(module)


def _bytes_of(part: nn.Module, bits: int) -> int:
    if isinstance(part, Stored):
        return part.stored_bytes(bits)
    return math.ceil(part.get_parameter("weight").numel() * bits / 8)


def _num_scales(part: nn.Module, *, is_before_norm: bool) -> int:
    """Return how many scales of a weight are stored."""
    quantizer = part._modules.get("weight_quantizer")
    num_scales = quantizer.scale.numel() if isinstance(quantizer, Quantizer) else 1
    if isinstance(part, Stored):
        num_scales = part.num_scales
    return 0 if num_scales > 1 and is_before_norm else num_scales


def _num_biases(network: nn.Module) -> int:
    return sum(
        bias.numel()
        for module in network.modules()
        if isinstance(bias := module._parameters.get("bias"), nn.Parameter)
        and not isinstance(module, nn.BatchNorm2d)
    )
