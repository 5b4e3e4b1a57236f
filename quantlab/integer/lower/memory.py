"""What is kept of a value until it is read, where memory is narrow.

A value that the next node reads alone stays as it is: its sums are rounded as they are made. One
that waits for its readers, or has several, is rounded before.
"""

from torch import fx

from quantlab.graphs.operations import Concat, Stack
from quantlab.graphs.paths import module_of
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value


def kept(lowering: Lowering, node: fx.Node, value: Value) -> Value:
    """Return the value behind a node as it waits for its readers: as codes of few bits, unless it
    has so few, or the next node reads it."""
    readers = [user for user in node.users if user not in lowering.known]
    is_waiting = bool(readers) and readers != [_following(lowering, node)]
    if not is_waiting or not lowering.is_costly(value) or lowering.is_result(node):
        return value
    grid = lowering.grid_for(_concatenation(lowering, node) or node)
    return lowering.builder.quantize(value, grid, f"{node.name}_codes")


def _following(lowering: Lowering, node: fx.Node) -> fx.Node:
    """Return the next node that depends on the program's input."""
    following = node.next
    while following in lowering.known or following.op in ("placeholder", "get_attr"):
        following = following.next
    return following


def _concatenation(lowering: Lowering, node: fx.Node) -> fx.Node | None:
    """Return the node that puts the value of a node beside others, if nothing else reads it."""
    while len(node.users) == 1:
        (node,) = node.users
        if isinstance(module_of(lowering.gm, node), Concat | Stack):
            return node
        if not lowering.commutes(node):
            return None
    return None
