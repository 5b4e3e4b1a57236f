"""Quantizers that a network passes by: what is trained then is not what the rules say.

A layer's quantizers run when the layer is called. They do not where a network reads the layer's
weight itself (`F.linear(x, self.fc.weight)`), or does not call the layer at all; and another module
that has the same weight reads it as it is.
"""

from collections.abc import Iterator

from torch import nn

from quantlab.algorithms.layers import carries
from quantlab.quantizer import Quantizer


def unused_quantizers(network: nn.Module) -> list[str]:
    """Return a line for each layer with quantizers that have not run, and for each quantized weight
    that another module reads in float. Call it when the network has run on a batch.
    """
    idle: dict[str, list[str]] = {}
    for path, module in network.named_modules():
        if isinstance(module, Quantizer) and not module.has_run:
            name, _, slot = path.rpartition(".")
            idle.setdefault(name, []).append(slot)
    lines = [
        f"{name or 'network'}: {' and '.join(slots)} never ran; the network must call the layer, "
        f"not read its weight, or the rules leave it out: '!{name}'"
        for name, slots in idle.items()
    ]
    return [*lines, *_read_in_float(network)]


def _read_in_float(network: nn.Module) -> Iterator[str]:
    """Yield a line for each module that has the weight of a quantized layer."""
    owners = {
        layer.get_parameter("weight"): name
        for name, layer in network.named_modules()
        if "weight" in carries(layer)
    }
    for other, module in network.named_modules():
        for parameter in module._parameters.values():
            if parameter in owners and "weight" not in carries(module):
                name = owners[parameter]
                yield (
                    f"{name}: its weight is also that of '{other}', which reads it in float; give "
                    f"each its own, or leave the layer out of the rules: '!{name}'"
                )
