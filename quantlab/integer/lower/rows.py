"""Layers of one axis: of `[C, W]`, which becomes an image of one row, `[C, 1, W]`, and back."""

from dataclasses import replace

from torch import fx

from quantlab.graphs.paths import origin
from quantlab.integer.lower.arrangement import Row
from quantlab.integer.lower.grid import Reals
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value
from quantlab.integer.operations import Reshape


def lifted(lowering: Lowering, node: fx.Node, x: Value) -> Value:
    """Return codes of one scale as those of an image: `[C, W]` as `[C, 1, W]`, others as they
    are."""
    if len(x.shape) != 2:
        return x
    builder, (term,) = lowering.builder, x.terms
    channels, width = x.shape
    tensor = builder.lifted(term.tensor) or builder.emit(
        Reshape(
            inputs=(term.tensor,),
            output=builder.name(f"{node.name}_image"),
            layer=origin(node),
            shape=(channels, 1, width),
        )
    )
    return replace(x, terms=(replace(term, tensor=tensor),), shape=(channels, 1, width))


def lowered_to(lowering: Lowering, node: fx.Node, y: Value) -> Value:
    """Return an image as what the node gives: `[C, 1, W]` as `[C, W]` where that has two axes."""
    if len(lowering.shape(node)) == len(y.shape):
        return y
    builder = lowering.builder
    terms = tuple(
        replace(
            term,
            tensor=builder.arrange(Row(), (term.tensor,), f"{node.name}_row", origin(node)),
            scale=_without_height(term.scale),
        )
        for term in y.terms
    )
    shape = lowering.shape(node)
    return replace(y, terms=terms, offset=_without_height(y.offset), shape=shape)


def _without_height(reals: Reals) -> Reals:
    return reals[:, 0] if reals.ndim == 3 else reals
