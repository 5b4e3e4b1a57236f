"""Layers without weights whose one output a quantizer may be put on."""

from torch import nn

from quantlab.graphs.operations import Operation
from quantlab.graphs.select import LAYER_TYPES

_KINDS = frozenset(
    f"torch.nn.modules.{kind}"
    for kind in (
        *("activation", "batchnorm", "channelshuffle", "dropout", "flatten", "linear"),
        *("padding", "pixelshuffle", "pooling", "upsampling"),
    )
)


def makes_value(layer: nn.Module) -> bool:
    """Return whether a layer is an activation, a pooling, a batch norm, an operation such as an
    addition, or another one that has no weights to quantize and gives one tensor."""
    if isinstance(layer, (*LAYER_TYPES, nn.MultiheadAttention, nn.Bilinear)):
        return False
    return isinstance(layer, Operation) or type(layer).__module__ in _KINDS


def value_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with weights and those that `makes_value` is about, by dotted name, in the
    order of definition."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, LAYER_TYPES) or makes_value(layer)
    }
