"""What statistics are about: which modules of a network, and which tensors of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from quantlab.errors import UsageError, did_you_mean
from quantlab.graphs.select import (
    And,
    Glob,
    Layers,
    Not,
    Or,
    Selector,
    Type,
    quantizable_layers,
    select,
)
from quantlab.quantizer import Quantizer

_MOST_NAMES_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of layer. find: returns those of a network by dotted name, in their order."""

    words: str
    find: Callable[[nn.Module], dict[str, nn.Module]]


def quantizers_of(layer: nn.Module) -> dict[str, Quantizer]:
    """Return the quantizers of a layer by the tensor that each is on: weight, input, output."""
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


LAYERS_WITH_WEIGHTS = Subject(words="layers with weights", find=quantizable_layers)
LAYERS_WITH_QUANTIZERS = Subject(words="layers with quantizers", find=_layers_with_quantizers)
BATCH_NORMS = Subject(words="batch norms with factors", find=_batch_norms)


def choose(expression: str, layers: Layers, words: str) -> dict[str, nn.Module]:
    """Return the layers among `layers` that a selector means. Raises UsageError if there are none,
    or if a part of the selector matches none."""
    selector = select(expression)
    for pattern in _patterns(selector):
        if not pattern.names(layers):
            hint = did_you_mean(pattern.pattern, pattern.candidates(layers))
            raise UsageError(f"select: '{pattern}' matches none of {_listed(layers, words)}{hint}")
    names = selector.names(layers)
    if not names:
        raise UsageError(f"select: '{selector}' matches none of {_listed(layers, words)}")
    return {name: layer for name, layer in layers.items() if name in names}


def _patterns(selector: Selector) -> Iterator[Glob | Type]:
    match selector:
        case Glob() | Type():
            yield selector
        case Not():
            yield from _patterns(selector.operand)
        case And() | Or():
            yield from _patterns(selector.left)
            yield from _patterns(selector.right)


def _listed(layers: Layers, words: str) -> str:
    shown = [name or "(the network itself)" for name in layers][:_MOST_NAMES_SHOWN]
    more = len(layers) - len(shown)
    return f"the {words}: {', '.join(shown)}{f' and {more} more' if more else ''}"
