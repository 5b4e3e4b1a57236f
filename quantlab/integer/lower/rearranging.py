"""What moves numbers and changes none."""

from dataclasses import replace

from torch import fx, nn

from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value
from quantlab.integer.operations import Reshape

REARRANGING = (nn.Flatten, nn.Unflatten)


def lower_reshape(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the value in the shape that the node has."""
    if not (x.is_uniform and not x.is_clamped):
        x = lowering.codes(x, node.all_input_nodes[0])
    (term,) = x.terms
    shape = lowering.shape(node)
    tensor = lowering.builder.emit(
        Reshape(
            inputs=(term.tensor,),
            output=lowering.builder.name(node.name),
            layer=str(node.target),
            shape=shape,
        )
    )
    moved = replace(term, tensor=tensor, scale=term.scale.reshape(()))
    return replace(x, terms=(moved,), offset=x.offset.reshape(()), shape=shape)
