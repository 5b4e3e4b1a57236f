"""What of a network no integer program can have, told before it is trained."""

from collections.abc import Iterator

from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.functions import BY_TARGET
from quantlab.graphs.modularize import number_nodes
from quantlab.graphs.operations import Add, Concat, Multiply, Stack, Subtract
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.shapes import evaluating
from quantlab.graphs.slots import applied
from quantlab.graphs.trace import trace
from quantlab.integer.lower.elementwise import BATCH_NORMS, OF_TWO
from quantlab.integer.lower.endings import LAST, is_last
from quantlab.integer.lower.handlers import LAYERS, handler_of, is_passing, passing_types
from quantlab.integer.lower.known import sources_of
from quantlab.integer.lower.maxima import is_maximum
from quantlab.integer.lower.rearranging import FUNCTIONS
from quantlab.integer.lower.remedies import refused_setting, without_operation
from quantlab.integer.lower.results import is_gathered, nodes_read
from quantlab.integer.lower.stages import GENERATED_LAYERS, refusals_of
from quantlab.integer.tensor_type import S8, S16
from quantlab.quantizer import Quantizer, QuantSpec

_JOINING = (Add, Subtract, Multiply, Concat, Stack, Quantizer)


def obstacles(network: nn.Module) -> list[str]:
    """Return a line for each layer that `lower` will refuse, however the network is trained: its
    name, what is in the way, and the remedy. What depends on shapes, ranges and weights is not
    among them, and nothing is if the network's graph takes an example to find.

    network: with its quantizers, in whatever stage.
    """
    try:
        with evaluating(network):
            gm = trace(network, leaves=passing_types(network), keeps_modes=False)
    except UsageError:
        return []
    constants = _constants(gm)
    read = nodes_read(gm.graph)
    nodes = [node for node in gm.graph.nodes if node in read and node not in constants]
    return list(dict.fromkeys(line for node in nodes for line in _of_node(gm, node, constants)))


def _constants(gm: fx.GraphModule) -> set[fx.Node]:
    """Return the nodes that give sizes, or tensors that depend on no input."""
    constants = number_nodes(gm.graph)
    for node in gm.graph.nodes:
        is_read = node.op not in ("placeholder", "output")
        if is_read and constants.issuperset(sources_of(node)):
            constants.add(node)
    return constants


def _of_node(gm: fx.GraphModule, node: fx.Node, constants: set[fx.Node]) -> Iterator[str]:
    module = module_of(gm, node)
    is_with_constant = isinstance(module, OF_TWO) and not constants.isdisjoint(node.all_input_nodes)
    if module is not None and not is_with_constant:
        yield from _of_module(gm, node, module)
    elif node.op in ("call_function", "call_method"):
        name = function_name(node)
        has_operation = node.target in BY_TARGET or node.target in FUNCTIONS or is_maximum(node)
        if not has_operation and not is_gathered(node):
            yield f"'{node.name}' ({name}): {without_operation(name)}"


def _of_module(gm: fx.GraphModule, node: fx.Node, module: nn.Module) -> Iterator[str]:
    path, setting = str(node.target), refused_setting(module)
    if setting is not None:
        yield f"layer '{path}': {setting}"
    if isinstance(module, LAYERS):
        yield from _of_layer(module, path)
    elif isinstance(module, BATCH_NORMS) and module.running_mean is None:
        yield f"layer '{path}': batch norm without running statistics; track_running_stats has them"
    elif isinstance(module, LAST) and is_last(gm, node):
        return
    elif not isinstance(module, _JOINING) and not is_passing(module) and handler_of(module) is None:
        yield f"layer '{path}': {without_operation(module)}"


def _of_layer(layer: nn.Module, path: str) -> Iterator[str]:
    """Yield what is in the way of a layer's integers."""
    slots = applied(layer)
    weight, x = slots.get("weight_quantizer"), slots.get("input_quantizer")
    if isinstance(layer, GENERATED_LAYERS):
        yield from (f"layer '{path}': {reason}" for reason in refusals_of(layer))
    elif weight is None:
        yield f"layer '{path}': its weight has no quantizer; 8 bits or fewer allowed, by a rule"
    elif not S8.holds(weight.spec.quant_min, weight.spec.quant_max):
        yield (
            f"layer '{path}': weights of {_codes(weight.spec)}, -128 to 127 allowed; fewer bits "
            "(num_bits of its rule) make them fit"
        )
    if x is not None and not S16.holds(x.spec.quant_min, x.spec.quant_max):
        yield (
            f"layer '{path}': an input of {_codes(x.spec)}, 16 bits with a sign allowed; 15 bits, "
            "or signed: true, in its rule make it fit"
        )


def _codes(spec: QuantSpec) -> str:
    return f"codes from {spec.quant_min} to {spec.quant_max}"
