"""Whether a graph computes the same in whatever order its values are computed."""

from torch import fx

from quantlab.errors import UsageError
from quantlab.graphs.modularize import number_nodes
from quantlab.graphs.overwrites import aliases, overwritten_by
from quantlab.graphs.paths import origin
from quantlab.graphs.source import node_line


def check_overwrites(gm: fx.GraphModule) -> None:
    """Raise UsageError, with the line of code, if a graph reads an overwritten tensor later under
    another name than the result's."""
    order = {one: number for number, one in enumerate(gm.graph.nodes)}
    numbers = number_nodes(gm.graph)
    for node in gm.graph.nodes:
        overwritten = None if node in numbers else overwritten_by(gm, node)
        if overwritten is None:
            continue
        readers = {
            reader: alias
            for alias in aliases(gm, overwritten, node)
            for reader in alias.users
            if order[reader] > order[node]
        }
        if readers:
            reader = min(readers, key=lambda one: order[one])
            line = node_line(node)
            where = f" ({line})" if line else ""
            raise UsageError(
                f"'{origin(node)}'{where} overwrites '{overwritten.name}', which "
                f"'{origin(reader)}' reads later as '{readers[reader].name}'; let it make a new "
                "tensor, and read that"
            )
