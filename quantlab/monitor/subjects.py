"""What statistics are about: which modules of a network, and which tensors of them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from quantlab.graphs.select import quantizable_layers
from quantlab.quantizer import Quantizer


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of layer. find: returns those of a network by dotted name, in their order."""

    kind: str
    find: Callable[[nn.Module], dict[str, nn.Module]]


def quantizers_of(layer: nn.Module) -> dict[str, Quantizer]:
    """Return the quantizers of a layer by the tensor that each is on: weight, input, output, or a
    factor of its weight."""
    return {
        name.removesuffix("_quantizer"): child
        for name, child in layer.named_children()
        if isinstance(child, Quantizer)
    }


def _layers_with_quantizers(network: nn.Module) -> dict[str, nn.Module]:
    return {name: m for name, m in network.named_modules() if quantizers_of(m)}


def _batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    return {
        name: m
        for name, m in network.named_modules()
        if isinstance(m, _BatchNorm) and m.weight is not None
    }


LAYERS_WITH_WEIGHTS = Subject(kind="layer with weights", find=quantizable_layers)
LAYERS_WITH_QUANTIZERS = Subject(kind="layer with quantizers", find=_layers_with_quantizers)
BATCH_NORMS = Subject(kind="batch norm with factors", find=_batch_norms)
