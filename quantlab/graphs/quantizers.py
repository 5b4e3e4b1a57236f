"""Quantizers on the edges of a graph: insert, remove, and bring those within layers to light.

A quantizer stands on the edge behind a tensor, as a node, and all that reads the tensor reads it
quantized: one quantizer for each tensor. It is the submodule `output_quantizer` of the layer that
makes the tensor, or, where no layer does, `input_quantizer` of the first layer that reads it.
"""

from collections.abc import Callable, Iterable, Iterator

from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.leaves import SLOTS
from quantlab.graphs.match import Condition
from quantlab.graphs.paths import module_of, node_named
from quantlab.graphs.report import reported
from quantlab.graphs.slots import applied, check_openable, close_edges, open_edges
from quantlab.quantizer import Quantizer

Factory = Callable[[str], Quantizer]


@reported("insert_quantizers")
def insert_quantizers(
    gm: fx.GraphModule, nodes: Iterable[str] | Condition, factory: Factory
) -> Iterator[str]:
    """Put a quantizer behind the tensor of each chosen node, in place.

    nodes: names of nodes or paths of layers, or a condition on a node and the module it calls.
    factory: makes the quantizer for a path.

    Raises UsageError, with nothing changed, for an unknown name, for a tensor that has a quantizer,
    and for one that no layer makes or reads.
    """
    if callable(nodes):
        chosen = [node for node in gm.graph.nodes if nodes(node, module_of(gm, node))]
    else:
        chosen = [node_named(gm, name) for name in nodes]
    paths: dict[fx.Node, str] = {}
    for node in chosen:
        paths[node] = _path_for(gm, node, set(paths.values()))
    for node, path in paths.items():
        place(gm, node, path, factory(path))
        yield f"{path}: quantizes {node.name}"


@reported("remove_quantizers")
def remove_quantizers(gm: fx.GraphModule, names: Iterable[str] | None = None) -> Iterator[str]:
    """Remove quantizers that are nodes, in place; those of weights are none.

    names: of the nodes, or paths of the quantizers; None: all.
    Raises UsageError, with nothing changed, for a name that is not a quantizer's.
    """
    chosen = quantizer_nodes(gm) if names is None else _named(gm, names)
    for node in chosen:
        (source,) = node.all_input_nodes
        node.replace_all_uses_with(source)
        gm.graph.erase_node(node)
        path = str(node.target)
        if not gm.graph.find_nodes(op="call_module", target=path):
            _clear_slot(gm, path)
        yield f"{path}: removed from {source.name}"


@reported("expose_quantizers")
def expose_quantizers(gm: fx.GraphModule) -> Iterator[str]:
    """Make the input and output quantizers that layers apply by themselves nodes, in place.

    They stay the same modules at the same paths, so that no entry of the state dict changes; the
    layers no longer apply them (see `slots`).
    """
    calls = [
        (node, str(node.target), found)
        for node in gm.graph.find_nodes(op="call_module")
        if (found := applied(gm.get_submodule(str(node.target)))).keys() - {"weight_quantizer"}
    ]
    for _, path, _ in calls:
        check_openable(gm.get_submodule(path), path)
    for node, path, found in calls:
        if "input_quantizer" in found:
            source = node.all_input_nodes[0]
            with gm.graph.inserting_before(node):
                new = gm.graph.call_module(f"{path}.input_quantizer", (source,))
            _describe(new, source)
            node.replace_input_with(source, new)
            yield f"{path}.input_quantizer: a node between {source.name} and {node.name}"
        if "output_quantizer" in found:
            _insert_behind(gm, node, f"{path}.output_quantizer")
            yield f"{path}.output_quantizer: a node behind {node.name}"
        open_edges(gm.get_submodule(path), path)


def quantizer_nodes(gm: fx.GraphModule) -> list[fx.Node]:
    """Return the nodes that call quantizers."""
    return [n for n in gm.graph.nodes if _quantizes(gm, n)]


def place(gm: fx.GraphModule, node: fx.Node, path: str, quantizer: Quantizer) -> fx.Node:
    """Put a quantizer behind a node. If it is not in the network yet, it comes to be at `path`."""
    parent_path, _, slot = path.rpartition(".")
    parent = gm.get_submodule(parent_path)
    if parent._modules.get(slot) is not quantizer:
        weight = next(gm.parameters(), None)
        if weight is not None:
            quantizer.to(weight.device)
        open_edges(parent, parent_path)
        parent.register_module(slot, quantizer.train(parent.training))
    return _insert_behind(gm, node, path)


def check_free(gm: fx.GraphModule, node: fx.Node) -> None:
    """Raise UsageError if the tensor of a node has a quantizer, on the edge or in its layer."""
    module = module_of(gm, node)
    others = [str(n.target) for n in (node, *node.users) if _quantizes(gm, n)]
    if module is not None and "output_quantizer" in applied(module):
        others.append(f"{node.target}.output_quantizer")
    for reader in node.users:
        layer = module_of(gm, reader)
        if layer is not None and "input_quantizer" in applied(layer):
            others.append(f"{reader.target}.input_quantizer")
    if others:
        raise UsageError(
            f"node '{node.name}': a second quantizer given, '{others[0]}' quantizes its tensor; "
            f"one for each tensor allowed: remove_quantizers(gm, ['{others[0]}']) first"
        )


def _quantizes(gm: fx.GraphModule, node: fx.Node) -> bool:
    return isinstance(module_of(gm, node), Quantizer)


def _path_for(gm: fx.GraphModule, node: fx.Node, taken: set[str]) -> str:
    check_free(gm, node)
    if node.op == "call_module":
        check_openable(gm.get_submodule(str(node.target)), str(node.target))
        return f"{node.target}.output_quantizer"
    for reader in gm.graph.find_nodes(op="call_module"):
        layer, path = gm.get_submodule(str(reader.target)), f"{reader.target}.input_quantizer"
        is_free = layer._modules.get("input_quantizer") is None and path not in taken
        if reader in node.users and is_free:
            check_openable(layer, str(reader.target))
            return path
    raise UsageError(
        f"node '{node.name}': no layer makes or reads its tensor, so a quantizer has no place; "
        f"modularize(gm) first, or put an nn.Identity behind it"
    )


def _insert_behind(gm: fx.GraphModule, node: fx.Node, path: str) -> fx.Node:
    behind = node
    while behind.next.op == "placeholder":
        behind = behind.next
    with gm.graph.inserting_after(behind):
        new = gm.graph.call_module(path, (node,))
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
    _describe(new, node)
    return new


def _describe(new: fx.Node, source: fx.Node) -> None:
    new.meta = {key: source.meta[key] for key in ("shape", "dtype") if key in source.meta}


def _named(gm: fx.GraphModule, names: Iterable[str]) -> list[fx.Node]:
    nodes = quantizer_nodes(gm)
    chosen = []
    for name in names:
        found = [n for n in nodes if name in (n.name, n.target)]
        if not found:
            has = ", ".join(n.name for n in nodes) or "no quantizers"
            raise UsageError(f"'{name}': not a node that quantizes; the graph has {has}")
        chosen += [n for n in found if n not in chosen]
    return chosen


def _clear_slot(gm: fx.GraphModule, path: str) -> None:
    """Take a quantizer out of its layer."""
    parent_path, _, slot = path.rpartition(".")
    parent: nn.Module = gm.get_submodule(parent_path)
    if all(name in parent._modules for name in SLOTS):
        parent._modules[slot] = None
    else:
        del parent._modules[slot]
    if not any(parent._modules.get(name) for name in ("input_quantizer", "output_quantizer")):
        close_edges(parent)
