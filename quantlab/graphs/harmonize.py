"""Harmonize: one scale for all tensors that are added, subtracted or concatenated.

Integer codes can be added or put side by side only if they stand for multiples of one scale. For
each Add, Subtract, Concat and Stack all inputs therefore get one and the same quantizer. A tensor
that is an input of two of them ties these together, and so does the output of a Concat or Stack
that is an input of another one, as it has the codes of its inputs: the groups merge, so that no
tensor has two scales.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx

from quantlab.graphs.match import inputs_of
from quantlab.graphs.operations import Add, Concat, Stack, Subtract
from quantlab.graphs.paths import module_of
from quantlab.graphs.quantizers import Factory, check_free, place
from quantlab.graphs.report import reported
from quantlab.quantizer import Quantizer

_COPYING = (Concat, Stack)
_JOINS = (Add, Subtract, *_COPYING)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Additions, concatenations and the like that share tensors, and the tensors to quantize; both
    in the order of the graph."""

    joins: tuple[fx.Node, ...]
    tensors: tuple[fx.Node, ...]


@reported("harmonize")
def harmonize(gm: fx.GraphModule, factory: Factory) -> Iterator[str]:
    """Give the inputs of each Add, Subtract, Concat and Stack one quantizer, in place.

    factory: makes the quantizer for a path, `input_quantizer` below the first of these of a group.
        It becomes a node behind each tensor of the group, and what else reads the tensor reads it
        quantized too.

    A group that has one quantizer for all already is left as it is. Raises UsageError, with nothing
    changed, if a tensor has another.
    """
    groups = [group for group in join_groups(gm) if not _is_harmonized(gm, group)]
    for group in groups:
        for node in group.tensors:
            check_free(gm, node)
    for group in groups:
        path = f"{group.joins[0].target}.input_quantizer"
        quantizer = factory(path)
        for node in group.tensors:
            place(gm, node, path, quantizer)
        yield f"{path}: one for {', '.join(node.name for node in group.tensors)}"


def join_groups(gm: fx.GraphModule) -> list[Group]:
    """Return the groups of tensors that need one scale.

    The output of a Concat or Stack is left out: it has the codes of its inputs.
    """
    joins = [n for n in gm.graph.nodes if isinstance(module_of(gm, n), _JOINS)]
    inputs = {node for join in joins for node in inputs_of(join)}
    tree = _Forest()
    for join in joins:
        first, *others = inputs_of(join)
        for other in others:
            tree.unite(first, other)
        if join in inputs and isinstance(module_of(gm, join), _COPYING):
            tree.unite(first, join)
    groups = []
    for root in dict.fromkeys(tree.root(inputs_of(join)[0]) for join in joins):
        members = [j for j in joins if tree.root(inputs_of(j)[0]) is root]
        copies = {j for j in members if isinstance(module_of(gm, j), _COPYING)}
        tensors = [n for n in gm.graph.nodes if n in inputs and tree.root(n) is root]
        kept = tuple(n for n in tensors if n not in copies)
        groups.append(Group(joins=tuple(members), tensors=kept))
    return groups


def _is_harmonized(gm: fx.GraphModule, group: Group) -> bool:
    """Return whether all tensors of a group come out of one quantizer."""
    modules = {module_of(gm, node) for node in group.tensors}
    return len(modules) == 1 and isinstance(modules.pop(), Quantizer)


class _Forest:
    """Which nodes belong together: sets that are united step by step."""

    def __init__(self) -> None:
        self._parent: dict[fx.Node, fx.Node] = {}

    def root(self, node: fx.Node) -> fx.Node:
        while (parent := self._parent.get(node, node)) is not node:
            node = parent
        return node

    def unite(self, a: fx.Node, b: fx.Node) -> None:
        self._parent[self.root(b)] = self.root(a)
