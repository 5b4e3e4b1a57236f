"""The quantizers of a layer: which of them its own forward pass applies.

They are its submodules `weight_quantizer`, `input_quantizer` and `output_quantizer`. A layer made
for quantizers applies all three by itself. In a graph those of the input and output may be nodes of
their own instead, which call them on the edge, at the same paths; such a layer is *open*: it has
`has_open_edges` set, and its forward pass leaves these two out. Layers of torch.nn know of no
quantizers and are always open, but for those that a rule gave one for their output.
"""

from torch import nn

from quantlab.errors import UsageError
from quantlab.graphs.leaves import EDGE_SLOTS, SLOTS
from quantlab.graphs.operations import Operation
from quantlab.quantizer import Quantizer

_MARK = "has_open_edges"


def is_open(layer: nn.Module) -> bool:
    """Return whether a layer leaves the quantizers of its input and output to the graph."""
    return _knows_none(layer) or bool(getattr(layer, _MARK, False))


def applied(layer: nn.Module) -> dict[str, Quantizer]:
    """Return the quantizers that a layer's forward pass applies, by slot."""
    if _knows_none(layer):
        return {}
    slots = ("weight_quantizer",) if is_open(layer) else SLOTS
    found = {slot: layer._modules.get(slot) for slot in slots}
    return {slot: q for slot, q in found.items() if isinstance(q, Quantizer)}


def check_openable(layer: nn.Module, path: str) -> None:
    """Raise UsageError if a layer cannot leave its quantizers to the graph."""
    has_slots = any(slot in layer._modules for slot in EDGE_SLOTS)
    if has_slots and not is_open(layer) and not hasattr(layer, _MARK):
        raise UsageError(
            f"layer '{path}': {type(layer).__name__} applies its quantizers whatever the graph "
            f"does; give it an attribute {_MARK}, and leave input and output out where it is True"
        )


def open_edges(layer: nn.Module, path: str) -> None:
    """Make a layer leave the quantizers of its input and output to the graph.

    Raises UsageError if it cannot.
    """
    check_openable(layer, path)
    setattr(layer, _MARK, True)


def close_edges(layer: nn.Module) -> None:
    """Undo `open_edges`."""
    vars(layer).pop(_MARK, None)


def _knows_none(layer: nn.Module) -> bool:
    is_plain = isinstance(layer, Operation) or type(layer).__module__.startswith("torch.nn.")
    return is_plain and _MARK not in vars(layer)
