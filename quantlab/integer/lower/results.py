"""What a network returns: one tensor, or several in tuples, lists, dicts and named tuples."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import fx

from quantlab.errors import UsageError
from quantlab.graphs.paths import function_name
from quantlab.integer.lower.known import Known

_ALLOWED = "tensors that depend on the input allowed, in tuples, lists, dicts and named tuples"


def is_gathered(node: fx.Node) -> bool:
    """Return whether a node is the network's output, or a named tuple that is made for it."""
    is_tuple = isinstance(node.target, type) and issubclass(node.target, tuple)
    return node.op == "output" or is_tuple


def nodes_read(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that what a network returns is made of, and those that may write into it;
    no program needs the others."""
    read: set[fx.Node] = set()
    waiting = [node for node in graph.nodes if node.op == "output" or _writes(node)]
    while waiting:
        node = waiting.pop()
        if node not in read:
            read.add(node)
            waiting += node.all_input_nodes
    return read


def results_of(gm: fx.GraphModule, known: Known) -> list[tuple[str, fx.Node]]:
    """Return the tensors that a network returns, in order, with a name each: the keys of dicts and
    fields of named tuples that lead to it, or nothing. None among them is left out.

    Raises UsageError for anything else, and where there is no tensor.
    """
    (node,) = gm.graph.find_nodes(op="output")
    results = list(_leaves(node.args[0], ""))
    if not results:
        raise UsageError(f"lower: a network that returns nothing given, {_ALLOWED}")
    for name, result in results:
        where = f" as '{name}'" if name else ""
        if not isinstance(result, fx.Node):
            kind = type(result).__name__
            raise UsageError(f"lower: a network that returns a {kind}{where} given, {_ALLOWED}")
        if result in known:
            raise UsageError(
                f"lower: a network that returns{where} what does not depend on the input given, "
                f"{_ALLOWED}"
            )
    return results


def _writes(node: fx.Node) -> bool:
    """Return whether a function writes into a tensor that it is given: `x.add_(y)`, `x[0] = y`."""
    is_function = node.op in ("call_function", "call_method")
    name = function_name(node).removeprefix(".").partition(".")[0]  # `copy_` of `copy_.default`
    return is_function and name.endswith(("_", "setitem"))


def _leaves(result: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield all but None within a result, with their names."""
    if isinstance(result, fx.Node) and result.op == "call_function" and is_gathered(result):
        assert isinstance(result.target, type)
        fields = getattr(result.target, "_fields", ())
        result = dict(zip(fields, result.args, strict=False)) | dict(result.kwargs)
    if isinstance(result, Mapping):
        for key, part in result.items():
            yield from _leaves(part, f"{name}_{key}".lstrip("_"))
    elif isinstance(result, tuple) and hasattr(result, "_fields"):
        yield from _leaves(dict(zip(result._fields, result, strict=True)), name)
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _leaves(part, name)
    elif result is not None:
        yield name, result
