"""Modules by their dotted paths in a network, and the nodes of a graph that call them."""

from itertools import count

from torch import fx, nn

from quantlab.errors import UsageError


def module_of(gm: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module that a node calls, None if it calls none."""
    return gm.get_submodule(str(node.target)) if node.op == "call_module" else None


def function_name(node: fx.Node) -> str:
    """Return the name of the function or method that a node calls, of a method with a dot."""
    if isinstance(node.target, str):
        return f".{node.target}"
    return getattr(node.target, "__name__", str(node.target))


def origin(node: fx.Node) -> str:
    """Return what a node calls, for people: a module's path, a method's or a function's name."""
    return str(node.target) if isinstance(node.target, str) else function_name(node)


def callers(gm: fx.GraphModule) -> dict[nn.Module, list[fx.Node]]:
    """Return the nodes that call each module, in the graph's order."""
    found: dict[nn.Module, list[fx.Node]] = {}
    for node in gm.graph.find_nodes(op="call_module"):
        found.setdefault(gm.get_submodule(str(node.target)), []).append(node)
    return found


def node_named(gm: fx.GraphModule, name: str) -> fx.Node:
    """Return the node that has this name, or that is the one to call the module at this path.

    Raises UsageError if there is none, or more than one call.
    """
    found = [n for n in gm.graph.nodes if n.name == name] or [
        n for n in gm.graph.nodes if n.op == "call_module" and n.target == name
    ]
    if len(found) == 1:
        (node,) = found
        assert isinstance(node, fx.Node)
        return node
    if found:
        names = ", ".join(n.name for n in found)
        raise UsageError(f"'{name}': called by {names}; name one of these nodes")
    raise UsageError(f"'{name}': no node has this name and no module called is at this path")


def enclosing_path(node: fx.Node) -> str:
    """Return the path of the module in whose forward pass a node was made, `""` for the root."""
    stack = node.meta.get("nn_module_stack")
    return list(stack.values())[-1][0] if stack else ""


def join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def fresh_path(gm: nn.Module, wanted: str) -> str:
    """Return `wanted` if no attribute has this path, else the first free one of `wanted_1`, ..."""
    parent_path, _, name = wanted.rpartition(".")
    try:
        parent = gm.get_submodule(parent_path)
    except AttributeError:
        return wanted
    names = (name if number == 0 else f"{name}_{number}" for number in count())
    return join(parent_path, next(n for n in names if not hasattr(parent, n)))


def add_module(gm: fx.GraphModule, wanted: str, module: nn.Module) -> str:
    """Put a new module at `wanted`, or at a free path next to it. Returns the path."""
    path = fresh_path(gm, wanted)
    if not gm.add_submodule(path, module):
        raise UsageError(f"'{path}': lies below what is not a module")
    return path
