"""Read images whose channels come last in memory as if they came first."""

import torch
from torch import fx

from quantlab.graphs.leaves import has_own_forward
from quantlab.graphs.paths import module_of
from quantlab.graphs.replace import has_hooks

_VIEWS = {"view": "reshape", "view_as": "reshape_as"}


def lay_out(gm: fx.GraphModule) -> None:
    """Let what reads numbers in the order of memory find them in the order of a plain tensor, in
    place: views are copies where they must, and code of others gets contiguous tensors."""
    for node in list(gm.graph.nodes):
        module = module_of(gm, node)
        if node.op == "call_method" and node.target in _VIEWS:
            is_cast = "dtype" in node.kwargs or isinstance(node.args[-1], torch.dtype)
            node.target = node.target if is_cast else _VIEWS[node.target]
        elif module is not None and (has_own_forward(module) or has_hooks(module)):
            for source in node.all_input_nodes:
                with gm.graph.inserting_before(node):
                    plain = gm.graph.call_method("contiguous", (source,))
                node.replace_input_with(source, plain)
    gm.recompile()
