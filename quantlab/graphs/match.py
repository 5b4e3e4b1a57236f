"""Match: find patterns of layers in a graph, branches included.

    x = Any("shortcut")
    conv = Op(nn.Conv2d)
    add = Op(Add, Op(nn.BatchNorm2d, conv), x, commutative=True)
    for match in find(gm, add):
        match[conv], match.module(conv), match["shortcut"]

A pattern is a tree of `Op`, or a DAG: a pattern that stands in two places stands for one node. Its
last operation is what the match is about; those before it must serve nothing but the match, unless
they are `is_shared_allowed`, so that a rewrite may replace all of it. Layers are matched by type,
not by name: `Op(nn.Conv2d)` finds whatever is an instance of it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import TypeGuard

from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.paths import module_of

Function = Callable[..., object] | str
Condition = Callable[[fx.Node, nn.Module | None], bool]


@dataclass(frozen=True, eq=False)
class Any:
    """Whatever tensor comes in here; it is not part of the match. `name` finds it in a match."""

    name: str = ""


class Op:
    """A call of a module of some types, or of a function, or of a tensor method."""

    def __init__(
        self,
        target: type[nn.Module] | Function | tuple[type[nn.Module] | Function, ...],
        *inputs: "Pattern",
        where: Condition | None = None,
        commutative: bool = False,
        is_shared_allowed: bool = False,
        name: str = "",
    ) -> None:
        """Describe a call.

        target: what is called, a method by its name; of several, any.
        inputs: what its tensors come from, in order; none given: whatever they are.
        where: a further condition on the node and the module it calls (None for functions).
        commutative: the inputs may come in any order.
        is_shared_allowed: the result may also be used outside the match.
        name: by which a match finds the node, as well as by the pattern itself.

        Raises UsageError if nothing is named to be called.
        """
        targets = target if isinstance(target, tuple) else (target,)
        if not targets:
            raise UsageError("Op: no target given, at least one allowed")
        self.types = tuple(t for t in targets if _is_module_type(t))
        self.functions = tuple(t for t in targets if not _is_module_type(t))
        self.inputs = inputs
        self.where = where
        self.is_commutative = commutative
        self.is_shared_allowed = is_shared_allowed
        self.name = name

    def __repr__(self) -> str:
        names = [getattr(t, "__name__", str(t)) for t in (*self.types, *self.functions)]
        return f"Op({', '.join(names)})"

    def calls(self, gm: fx.GraphModule, node: fx.Node) -> bool:
        """Return whether a node is such a call, whatever its inputs."""
        module = module_of(gm, node)
        if module is not None:
            is_such = isinstance(module, self.types)
        else:
            is_such = node.op in ("call_function", "call_method") and any(
                node.target == function for function in self.functions
            )
        return is_such and (self.where is None or self.where(node, module))


Pattern = Op | Any
Binding = Mapping[Pattern, fx.Node]


@dataclass(frozen=True)
class Match:
    """Where a pattern stands in a graph: `match[pattern]` is the node, for `Any` what comes in."""

    gm: fx.GraphModule
    pattern: Op
    binding: Binding

    def __getitem__(self, key: Pattern | str) -> fx.Node:
        """Raises UsageError if the pattern has no such part."""
        for pattern, node in self.binding.items():
            if pattern is key or (isinstance(key, str) and key and pattern.name == key):
                return node
        raise UsageError(f"match: {key!r} is not part of the pattern")

    def module(self, key: Pattern | str) -> nn.Module:
        """Return the module that is called there. Raises UsageError if it is none."""
        node = self[key]
        module = module_of(self.gm, node)
        if module is None:
            raise UsageError(f"match: node '{node.name}' calls no module")
        return module

    @property
    def root(self) -> fx.Node:
        """The node of the last operation."""
        return self.binding[self.pattern]

    @property
    def nodes(self) -> tuple[fx.Node, ...]:
        """The nodes of all operations, inputs first."""
        inside = {node for pattern, node in self.binding.items() if isinstance(pattern, Op)}
        return tuple(node for node in self.gm.graph.nodes if node in inside)


def find(gm: fx.GraphModule, pattern: Op, *, keep_overlapping: bool = True) -> list[Match]:
    """Return where a pattern stands in a graph, in the order of its last nodes, one match for each.

    keep_overlapping: also those that share an operation with one before.
    """
    matches = []
    taken: set[fx.Node] = set()
    for node in gm.graph.nodes:
        match = match_at(gm, pattern, node)
        if match is None or (not keep_overlapping and taken.intersection(match.nodes)):
            continue
        taken.update(match.nodes)
        matches.append(match)
    return matches


def match_at(gm: fx.GraphModule, pattern: Op, node: fx.Node) -> Match | None:
    """Return the match whose last operation is `node`, None if there is none."""
    for binding in _bind(gm, pattern, node, {}):
        if _is_closed(pattern, binding):
            return Match(gm, pattern, binding)
    return None


def inputs_of(node: fx.Node) -> list[fx.Node]:
    """Return the nodes among the arguments, in order, as often as they stand there."""
    found: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), found.append)
    return found


def _bind(
    gm: fx.GraphModule, pattern: Pattern, node: fx.Node, binding: Binding
) -> Iterator[Binding]:
    """Yield each way to extend a binding so that a pattern stands at a node."""
    if pattern in binding:
        if binding[pattern] is node:
            yield binding
        return
    if isinstance(pattern, Any):
        yield {**binding, pattern: node}
        return
    is_taken = any(isinstance(p, Op) and n is node for p, n in binding.items())
    if is_taken or not pattern.calls(gm, node):
        return
    here = {**binding, pattern: node}
    if not pattern.inputs:
        yield here
        return
    inputs = inputs_of(node)
    if len(inputs) != len(pattern.inputs):
        return
    orders = permutations(inputs) if pattern.is_commutative else [tuple(inputs)]
    for order in orders:
        yield from _bind_all(gm, list(zip(pattern.inputs, order, strict=True)), here)


def _bind_all(
    gm: fx.GraphModule, pairs: list[tuple[Pattern, fx.Node]], binding: Binding
) -> Iterator[Binding]:
    if not pairs:
        yield binding
        return
    (pattern, node), *rest = pairs
    for extended in _bind(gm, pattern, node, binding):
        yield from _bind_all(gm, rest, extended)


def _is_closed(root: Op, binding: Binding) -> bool:
    """Return whether what the operations before the last one give stays within the match."""
    inside = {node for pattern, node in binding.items() if isinstance(pattern, Op)}
    return all(
        inside.issuperset(node.users)
        for pattern, node in binding.items()
        if isinstance(pattern, Op) and pattern is not root and not pattern.is_shared_allowed
    )


def _is_module_type(target: object) -> TypeGuard[type[nn.Module]]:
    return isinstance(target, type) and issubclass(target, nn.Module)
