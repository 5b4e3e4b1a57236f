"""The state of lowering a network: its graph, the program so far, and the values of the nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.paths import function_name, module_of
from quantlab.graphs.slots import applied
from quantlab.graphs.source import node_line
from quantlab.integer.lower.builder import Builder
from quantlab.integer.lower.grid import Grid, common_grid, grid_of, seen_grid, sum_grid
from quantlab.integer.lower.known import Known
from quantlab.integer.lower.ranges import Ranges
from quantlab.integer.lower.results import is_gathered
from quantlab.integer.lower.value import Value
from quantlab.integer.tensor_type import S32
from quantlab.quantizer import Quantizer

_BEYOND_SEEN = 16.0
IsRearranging = Callable[[fx.Node], bool]


def call_name(path: str, number: int) -> str:
    """Return what the n-th call of the quantizer at a path is called, counted from 0: the path, of
    a further call `path:2` and so on."""
    return path if number == 0 else f"{path}:{number + 1}"


def refuse(node: fx.Node, reason: str) -> NoReturn:
    """Raises UsageError about a node, with the line of code that it stands for."""
    line = node_line(node)
    where = f"; called in {line}" if line else ""
    is_layer = node.op == "call_module"
    what = f"layer '{node.target}'" if is_layer else f"'{node.name}' ({function_name(node)})"
    raise UsageError(f"{what}: {reason}{where}")


@dataclass(kw_only=True, eq=False)
class Lowering:
    """ranges: of the nodes' values on samples, empty if there are none.

    known: the values of nodes that depend on no input.
    commutes: whether a node gives the same whether it is quantized before or after it.
    is_commuting: the same of a module, whose output may have a quantizer.
    quantizers: the tensor that has the codes of a quantizer, by the quantizer's path; see
        `call_name` for one that is called more than once.
    """

    gm: fx.GraphModule
    builder: Builder
    ranges: Ranges
    known: Known
    commutes: IsRearranging
    is_commuting: Callable[[nn.Module], bool]
    values: dict[fx.Node, Value | tuple[Value, ...]] = field(default_factory=dict)
    quantizers: dict[str, str] = field(default_factory=dict)
    _calls: dict[Quantizer, list[str]] = field(default_factory=dict)

    def module(self, node: fx.Node) -> nn.Module:
        module = module_of(self.gm, node)
        assert module is not None
        return module

    def source(self, node: fx.Node) -> fx.Node:
        """Return the first input of a node that depends on the program's input."""
        return next(source for source in node.all_input_nodes if source in self.values)

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the shape of a node's tensor without the batch."""
        return tuple(node.meta["shape"][1:])

    def quantized(self, value: Value, quantizer: Quantizer, path: str) -> Value:
        """Return a value as codes of a quantizer."""
        if not quantizer.is_enabled:
            raise UsageError(
                f"{path}: in the float stage; train until it has started, or remove it"
            )
        grid, most = grid_of(quantizer, path), self.builder.limits.memory_bits
        if grid.kind.num_bits > most:
            raise UsageError(
                f"{path}: codes from {grid.low} to {grid.high} given, {most} bits allowed with "
                f"memory_bits {most}; fewer bits (num_bits) make them fit"
            )
        codes = self.builder.quantize(value, grid, f"{path}_codes")
        calls = self._calls.setdefault(quantizer, [])
        calls.append(path)
        self.quantizers[call_name(calls[0], len(calls) - 1)] = codes.terms[0].tensor
        return codes

    def codes(self, value: Value, node: fx.Node, *, may_be_wide: bool = False) -> Value:
        """Return the value behind a node as codes of one scale: of the quantizer that is to come,
        if there is one for all that read it, else of 16 bits, or of 8 where memory is as narrow,
        for the numbers seen on samples.

        may_be_wide: whether codes of 32 bits will do, if it has such.
        A raw image whose channels have scales of their own gets a common one, a small part of a
        pixel's, or as large as 8 bits take. Raises UsageError if there were no samples.
        """
        is_wide = value.grid is not None and value.grid.kind == S32
        if value.grid is not None and value.is_uniform and (may_be_wide or not is_wide):
            return value
        if value.grid is not None and not is_wide:
            return self.builder.quantize(
                value,
                common_grid(value.grid, self.builder.limits.memory_bits),
                f"{node.name}_codes",
            )
        return self.builder.quantize(value, self.grid_for(node), f"{node.name}_codes")

    def sum(self, value: Value, node: fx.Node) -> Value:
        """Return the value behind a node as one tensor of 32 bits, or of fewer as `Limits` has it.

        Of 32 bits nothing is lost that counts beside the numbers of float32: the end is what is
        proven, or 16 times what was seen on samples if that is less. Where memory is narrow it is
        rounded to codes, see `codes`.
        """
        if self.builder.limits.has_narrow_memory:
            return self.codes(value, node)
        end = float(np.max(self.builder.reach(value)))
        if node.name in self.ranges:
            low, high = self.range_of(node)
            end = min(end, _BEYOND_SEEN * max(-low, high) or end)
        return self.builder.quantize(
            value, sum_grid(end, self.builder.limits.carried_bits), f"{node.name}_sum"
        )

    def grid_for(self, node: fx.Node) -> Grid:
        """Return the grid on which a node's value is to be; see `codes`."""
        return self.next_grid(node) or self.seen_grid(*self.range_of(node))

    def seen_grid(self, low: float, high: float) -> Grid:
        """Return a grid for numbers observed to be from `low` to `high`."""
        return seen_grid(low, high, self.builder.limits.memory_bits)

    def is_costly(self, value: Value) -> bool:
        """Return whether memory is narrow and a value would take more, several tensors, or an
        operation when it is read."""
        limits, types = self.builder.limits, self.builder.types
        if not limits.has_narrow_memory or value.is_clamped:
            return limits.has_narrow_memory
        bits = [types[term.tensor].kind.num_bits for term in value.terms]
        return len(bits) > 1 or max(bits) > limits.memory_bits

    def costly_first(self, values: Sequence[Value]) -> Sequence[Value]:
        """Return values in the order in which they are to be rounded: none is to wait for others
        that memory has no room for."""
        return sorted(values, key=lambda value: not self.is_costly(value))

    def is_result(self, node: fx.Node) -> bool:
        """Return whether a node's value becomes the network's output, by what moves elements or
        leaves their order as it is alone."""

        def leads(user: fx.Node) -> bool:
            if is_gathered(user):
                return True
            is_last = isinstance(
                module_of(self.gm, user), nn.Softmax | nn.Softmax2d | nn.LogSoftmax
            )
            return (is_last or self.commutes(user)) and self.is_result(user)

        return bool(node.users) and all(leads(user) for user in node.users)

    def range_of(self, node: fx.Node) -> tuple[float, float]:
        """Return what a node's value lies within on samples. Raises UsageError without any."""
        if node.name not in self.ranges:
            refuse(
                node,
                "its value has no quantizer; put one there, or give samples, from which its range "
                "can be read",
            )
        low, high = self.ranges[node.name]
        if not (np.isfinite(low) and np.isfinite(high)):
            refuse(node, "values on samples that are not finite; finite ones allowed")
        return low, high

    def has_batch(self, node: fx.Node) -> bool:
        """Return whether a node's tensor has as many samples as the input."""
        inputs = self.gm.graph.find_nodes(op="placeholder")
        return bool(node.meta["shape"][0] == inputs[0].meta["shape"][0])

    def own_grid(self, node: fx.Node) -> Grid | None:
        """Return the grid of the quantizer that a node's layer has for its output, if it has one.
        Functions have none."""
        quantizer = None
        if node.op == "call_module":
            quantizer = applied(self.module(node)).get("output_quantizer")
        return None if quantizer is None else grid_of(quantizer, f"{node.target}.output_quantizer")

    def next_grid(self, node: fx.Node) -> Grid | None:
        """Return the grid of all that reads a node's value, None if they differ.

        Where memory is narrow, and the grid of the quantizers that read it has as many bits, what
        reads the value without a quantizer gets it on this grid too.
        """
        found: list[Grid] = []
        waiting = list(node.users)
        while waiting:
            user = waiting.pop()
            if user in self.known:
                continue
            grid = self._grid_of_reader(user)
            if grid is not None:
                found.append(grid)
            elif self.commutes(user):
                waiting.extend(user.users)
            else:
                return self._shared_grid(node)
        return _only(found)

    def _shared_grid(self, node: fx.Node) -> Grid | None:
        """Return the grid of the quantizers among the readers of a value, behind what reads it
        alone and leaves it on its grid."""
        limits, readers = self.builder.limits, list(node.users)
        while len(readers) == 1 and self.commutes(readers[0]):
            readers = list(readers[0].users)
        grid = _only([grid for reader in readers if (grid := self._grid_of_reader(reader))])
        if grid is None or not limits.has_narrow_memory:
            return None
        return grid if 2 * grid.num_levels >= 2**limits.memory_bits else None

    def _grid_of_reader(self, node: fx.Node) -> Grid | None:
        """Return the grid on which a node first puts what it reads, None if it is without one."""
        if node.op != "call_module":
            return None
        module, path = self.module(node), str(node.target)
        if isinstance(module, Quantizer):
            return grid_of(module, path)
        slot = "output_quantizer" if self.is_commuting(module) else "input_quantizer"
        quantizer = applied(module).get(slot)
        return None if quantizer is None else grid_of(quantizer, f"{path}.{slot}")


def _only(grids: Sequence[Grid]) -> Grid | None:
    """Return the grid that all are, None if they differ or there is none."""
    first = grids[0] if grids else None
    return first if first is not None and all(first.is_same(grid) for grid in grids) else None
