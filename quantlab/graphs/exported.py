"""The other way to a graph: torch.export, mapped back onto the layers.

torch.export runs the network on an example and notes the operators of ATen below all layers, each
with the modules in whose call it ran. The operators of one call of a leaf become one call of that
leaf; those between leaves stay, for `modularize`.
"""

import io
import logging
import operator
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from quantlab.errors import UsageError
from quantlab.graphs.modularize import FOLLOWS_TRAINING, number_nodes
from quantlab.graphs.shapes import Example, as_tuple
from quantlab.graphs.source import first_line, user_line, user_module
from quantlab.graphs.watch import Call, Calls, IsLeaf, watching
from quantlab.quantizer import Quantizer

# Where torch.export logs what it finds of shapes; the module itself imports all of sympy.
_SHAPES_LOGGER = "torch.fx.experimental.symbolic_shapes"


@dataclass(kw_only=True)
class _Group:
    """The operators of one call of a leaf."""

    path: str
    call: Call | None
    nodes: list[fx.Node] = field(default_factory=list)


def export_graph(
    net: nn.Module, example: Example, is_leaf: IsLeaf
) -> tuple[fx.Graph, dict[str, Tensor]]:
    """Return the graph of a network on an example, and the graph's own constants.

    The first axis of the inputs, if they agree on it, stays of any length.
    Raises UsageError, with the line of code, if torch.export cannot follow the network.
    """
    arguments = _widen_batch(as_tuple(example))
    try:
        with watching(net, is_leaf) as calls, _quiet():
            program = torch.export.export(
                net, arguments, dynamic_shapes=_any_batch(arguments), strict=False
            )
    # Exporting runs the user's code: whatever goes wrong there comes out here.
    except Exception as error:
        module, line = user_module(error, net), user_line(error) or "its forward pass"
        raise UsageError(
            f"trace: {module}: {line} cannot be exported ({first_line(error)}); "
            f"rewrite that line, or name its module's type in `leaves`"
        ) from error
    # Among the constants are tensors of the network that are not part of its state.
    constants = {
        name.replace(".", "_"): tensor
        for name, tensor in program.constants.items()
        if isinstance(tensor, Tensor) and not _has(net, name)
    }
    return _Mapper(net, program, calls).graph(), constants


class _Mapper:
    """Writes the graph anew, node by node."""

    def __init__(
        self,
        net: nn.Module,
        program: ExportedProgram,
        calls: Calls,
    ) -> None:
        self._net, self._program, self._calls = net, program, calls
        specs = program.graph_signature.input_specs
        self._specs = {spec.arg.name: spec for spec in specs}
        self._new = fx.Graph()
        self._made: dict[fx.Node, fx.Node] = {}
        self._stored: dict[fx.Node, str] = {}
        self._groups: dict[str, _Group] = {}
        self._modules = dict(net.named_modules(remove_duplicate=False))
        self._paths = {module: path for path, module in net.named_modules()}

    def graph(self) -> fx.Graph:
        members = self._gather()
        for node in self._program.graph.nodes:
            group = members.get(node)
            if node.op == "placeholder":
                self._place(node)
            elif node.op == "output":
                outputs = [self._copied(x) for x in node.args[0]]
                spec = self._program.call_spec.out_spec
                assert spec is not None
                self._new.output(pytree.tree_unflatten(outputs, spec))
            elif group is not None and self._inputs(group) is not None:
                if node is group.nodes[-1]:
                    self._call(group)
            elif not _is_check(node):
                self._copy(node)
        _drop_unused_numbers(self._new)
        return self._new

    def _gather(self) -> dict[fx.Node, _Group]:
        """Return the call of a leaf that each node belongs to, if to one."""
        members = {}
        for node in self._program.graph.nodes:
            for key, (path, _) in node.meta.get("nn_module_stack", {}).items():
                module = self._modules.get(path)
                if module in self._calls:
                    group = self._groups.setdefault(key, self._group(module))
                    group.nodes.append(node)
                    members[node] = group
                    break
        seen = {group.path for group in self._groups.values()}
        for module in self._calls:
            if isinstance(module, Quantizer) and self._paths[module] not in seen:
                raise UsageError(
                    f"trace: quantizer '{self._paths[module]}' in its float stage leaves no trace "
                    f"in an export; use method 'symbolic' or export before inserting quantizers"
                )
        return members

    def _group(self, module: nn.Module) -> _Group:
        """Return the next call of a leaf."""
        path = self._paths[module]
        number = sum(group.path == path for group in self._groups.values())
        calls = self._calls[module]
        return _Group(path=path, call=calls[number] if number < len(calls) else None)

    def _place(self, node: fx.Node) -> None:
        spec = self._specs[node.name]
        if spec.kind is InputKind.USER_INPUT:
            self._made[node] = self._new.placeholder(node.name)
        else:
            assert spec.target is not None
            is_found = _has(self._net, spec.target)
            self._stored[node] = spec.target if is_found else spec.target.replace(".", "_")

    def _inputs(self, group: _Group) -> list[fx.Node] | None:
        """Return the tensors that a leaf was called with; None if the operators do not tell."""
        if group.call is None or not group.call.is_plain:
            return None
        inside = set(group.nodes)
        if sum(any(user not in inside for user in n.users) for n in group.nodes) != 1:
            return None
        computing = [n for n in group.nodes if not set(n.all_input_nodes) <= set(self._stored)]
        leaves = pytree.tree_leaves([(n.args, n.kwargs) for n in computing])
        outside = [
            x
            for x in leaves
            if isinstance(x, fx.Node)
            and x not in inside
            and x not in self._stored
            and isinstance(x.meta.get("val"), Tensor)
        ]
        if group.call.num_inputs == 1 and len(set(outside)) == 1:
            return outside[:1]
        return outside if len(computing) == 1 and len(outside) == group.call.num_inputs else None

    def _call(self, group: _Group) -> None:
        inputs = self._inputs(group)
        assert inputs is not None
        inside = set(group.nodes)
        result = next(n for n in group.nodes if any(user not in inside for user in n.users))
        new = self._new.call_module(group.path, tuple(self._copied(x) for x in inputs))
        self._made[result] = new

    def _copy(self, node: fx.Node) -> None:
        new = self._made[node] = self._new.node_copy(node, self._copied)
        new.meta = {"nn_module_stack": self._places(node), FOLLOWS_TRAINING: True}
        new.stack_trace = node.stack_trace  # which has the user's line

    def _places(self, node: fx.Node) -> dict[str, tuple[str, Any]]:
        """Return the modules around an operator by the first of their paths. What is made of an
        operator inside a leaf is put beside the leaf."""
        places = {}
        for key, (path, kind) in node.meta.get("nn_module_stack", {}).items():
            if key in self._groups:
                break
            module = self._modules.get(path)
            places[key] = (path if module is None else self._paths[module], kind)
        return places

    def _copied(self, node: fx.Node) -> fx.Node:
        if node not in self._made:
            self._made[node] = self._new.get_attr(self._stored[node])
        return self._made[node]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what torch prints and logs before it raises."""
    logger, printed = logging.getLogger(_SHAPES_LOGGER), io.StringIO()

    def keep_back(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(keep_back)
    try:
        with redirect_stderr(printed):
            yield
    finally:
        logger.removeFilter(keep_back)
    sys.stderr.write(printed.getvalue())


def _batch(arguments: Iterable[Any]) -> int | None:
    """Return how long the first axis of all tensors is, None if they do not agree."""
    sizes = {x.shape[0] if x.ndim else None for x in arguments if isinstance(x, Tensor)}
    return sizes.pop() if len(sizes) == 1 else None


def _widen_batch(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make batches of one into batches of two: torch.export takes a 1 for a constant."""
    if _batch(arguments) != 1:
        return arguments
    return tuple(torch.cat([x, x]) if isinstance(x, Tensor) else x for x in arguments)


def _any_batch(arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if _batch(arguments) is None:
        return None
    auto = {0: torch.export.Dim.AUTO}
    return tuple(auto if isinstance(x, Tensor) else None for x in arguments)


def _has(net: nn.Module, path: str) -> bool:
    """Return whether a network has an attribute at a dotted path."""
    try:
        operator.attrgetter(path)(net)
    except AttributeError:
        return False
    return True


def _is_check(node: fx.Node) -> bool:
    name = getattr(node.target, "__name__", "")
    return name.startswith(("_assert", "sym_constrain", "_check"))


def _drop_unused_numbers(graph: fx.Graph) -> None:
    numbers = number_nodes(graph)
    for node in reversed(list(graph.nodes)):
        if node in numbers and not node.users:
            graph.erase_node(node)
