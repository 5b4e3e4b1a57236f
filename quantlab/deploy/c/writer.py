"""A program on its way to C: calls, the buffers that they read and write, and constants."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Arena, Gap
from quantlab.deploy.c.call import Argument as Argument
from quantlab.deploy.c.call import Call
from quantlab.deploy.c.call import Pointer as Pointer
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.intermittent.work import Work
from quantlab.deploy.c.kernels.kernel import Stored
from quantlab.deploy.c.placed import Order, Placed, channels_last, in_order
from quantlab.deploy.c.text import array, braces, header_name, structure, table
from quantlab.deploy.c.written import arena_of
from quantlab.errors import UsageError
from quantlab.integer.groups import LAYERS, CanMake, CanPool, Group, grouped
from quantlab.integer.operations import AdaptiveSumPool, Multiply, Operation, SumPool
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType

MOST_MADE = 4  # QL_MOST_MADE
_MOST = np.iinfo(np.uint16).max


class Writer:
    """See the module.

    placed: where each tensor lies. kept: the same of those that `QL_TRACE` gives, by name.
    numbers: of tensors, as `ql_keep` gets them. given: the parameters that are buffers. encodings:
    of the layers' weights, by the names of their outputs. weights: as they are stored, likewise.
    power: what power failures ask for; None for a model that has none. same_arrays: names of arrays
    by their text, which equal ones that follow take; None: each array is defined anew.
    """

    def __init__(
        self,
        program: Program,
        can_make: CanMake,
        can_pool: CanPool,
        encodings: Mapping[str, str],
        power: Power | None = None,
    ) -> None:
        self.program = program
        self.power = power
        self.encodings = encodings
        self.weights: dict[str, Stored] = {}
        sources = (*LAYERS, SumPool, AdaptiveSumPool, Multiply)
        self.groups = grouped(program, can_make, MOST_MADE, sources, can_pool)
        self.numbers = {name: i for i, name in enumerate(program.types)}
        self.placed: dict[str, Placed] = {}
        self.kept: dict[str, Placed] = {}
        self.calls: list[Call] = []
        self.definitions: dict[str, list[str]] = {}
        self.runtime: set[str] = set()
        self.given: dict[str, str] = {}
        self.constant_bytes: dict[str, int] = {}
        self.layers: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._read = {name for group in self.groups for name in group.inputs}
        self._read |= set(program.outputs)
        self._header = ""
        self.same_arrays: dict[str, str] | None = None

    def begin(self, group: Group) -> None:
        """Let the constants that follow stand in the header of a group."""
        layer = group.operation.layer or group.operation.output
        self._header = f"{len(self.definitions):03d}_{header_name(layer)}"
        self.definitions[self._header] = []
        self.constant_bytes[self._header] = 0
        self.layers[self._header] = layer

    def is_read(self, name: str) -> bool:
        """Return whether a tensor is an output, or read by another group than makes it."""
        return name in self._read

    def new(self, name: str, order: Order, kind: TensorType | None = None) -> Placed:
        """Return a tensor in a buffer of its own. kind: of one that the program does not have."""
        if kind is None:
            kind = self.program.types[name]
        found = in_order(name, kind, order)
        self._sizes[name] = prod(kind.shape) * np.dtype(kind.kind.dtype).itemsize
        if name in self.program.types:
            self.placed[name] = self.kept[name] = found
        return found

    def temporary(self, kind: TensorType, order: Order) -> Placed:
        """Return a buffer for a tensor that the program does not have."""
        return self.new(f".{len(self._sizes)}", order, kind)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of the buffers that are part of the arena, by their names."""
        return self._sizes

    def is_own(self, buffer: str) -> bool:
        """Return whether a buffer is part of the arena."""
        return buffer in self._sizes

    def give(self, buffer: str, parameter: str) -> None:
        """Let a parameter be a buffer, in place of a part of the arena."""
        self.given[buffer] = parameter
        del self._sizes[buffer]

    def constants(self, name: str, values: NDArray[Any]) -> str:
        """Define an array; return its name in C, or that of an equal one of `same_arrays`."""
        text = "" if self.same_arrays is None else array("", values)
        if self.same_arrays is not None and text in self.same_arrays:
            return self.same_arrays[text]
        self.constant_bytes[self._header] += values.nbytes
        found = self._define(name, lambda found: array(found, values))
        if self.same_arrays is not None:
            self.same_arrays[text] = found
        return found

    def shared_constants(self, name: str, values: NDArray[Any]) -> str:
        """Define an array, of one element if all are equal; return its name and step in braces."""
        is_one = bool((values == values[0]).all())
        return braces([self.constants(name, values[:1] if is_one else values), int(not is_one)])

    def traced_constants(self, name: str, values: NDArray[Any]) -> str:
        """Define an array that only QL_TRACE needs; return its name in C."""
        return self._define(name, lambda found: f"#ifdef QL_TRACE\n{array(found, values)}#endif\n")

    def structure(self, kind: str, name: str, fields: Mapping[str, Any], before: str = "") -> str:
        """Define a structure; return its name in C."""
        return self._define(name, lambda found: structure(kind, found, fields, before))

    def table(self, kind: str, name: str, entries: Sequence[str]) -> str:
        """Define an array of structures; return its name in C."""
        return self._define(name, lambda found: table(kind, found, entries))

    def _define(self, name: str, text: Any) -> str:
        found = f"c{self._header}_{len(self.definitions[self._header])}_{name}"
        self.definitions[self._header].append(text(found))
        return found

    def call(
        self,
        function: str,
        *arguments: Argument,
        places: Sequence[tuple[Argument, Argument]] | None = None,
        after: tuple[Argument, ...] = (),
        over: Mapping[str, Mapping[str, Gap]] | None = None,
        is_directed: bool = True,
        work: Work | None = None,
        patch: Argument = None,
    ) -> None:
        """Append a call."""
        made = None if places is None else tuple(places)
        self.calls.append(
            Call(
                layer=self.layers.get(self._header, ""),
                function=function,
                arguments=arguments,
                places=made,
                after=after,
                over=over,
                is_directed=is_directed,
                work=work,
                patch=patch,
            )
        )

    def keep(self, name: str) -> None:
        """Append what gives a whole tensor to whoever traces the model."""
        placed = self.placed[name]
        self.kept[name] = placed
        kind = placed.kind
        self.call(
            "QL_KEEP_TENSOR",
            str(self.numbers[name]),
            Pointer(placed.buffer),
            c_type(kind),
            str(prod(kind.shape)),
        )

    def ordered(self, name: str, order: Order | None = None) -> Placed:
        """Return a tensor with its axes in an order, by default its usual one; copied if it has to
        be."""
        from quantlab.deploy.c.walks import copy

        found = self.placed[name]
        wanted = channels_last(found.kind.shape) if order is None else order
        if found.steps() is None:
            # Memory has the axes of before: bring those into their order first.
            before = TensorType(found.axes, found.kind.kind)
            plain = self.temporary(before, tuple(range(len(found.axes))))
            copy(self, replace(found, kind=before), plain)
            found = replace(plain, kind=found.kind)
        if not found.has_order(wanted):
            to = self.temporary(found.kind, wanted)
            copy(self, found, to)
            found = to
        return found

    def arena(self) -> Arena:
        """Return where the buffers lie."""
        return arena_of(self, keeps_inputs=self.power is not None)


def c_type(kind: TensorType) -> str:
    """Return the name of a tensor's type in the runtime."""
    return f"QL_{str(kind.kind).upper()}"


def owner(operation: Operation) -> str:
    """Return what an operation is called in errors."""
    return f"{type(operation).__name__} '{operation.output}' ({operation.layer or 'no layer'})"


def check_sizes(operation: Operation, sizes: Mapping[str, int]) -> None:
    """Raise UsageError for a size beyond the 16 bits that C has for it."""
    for name, size in sizes.items():
        if size > _MOST:
            raise UsageError(
                f"{owner(operation)}: {name} {size} given, at most {_MOST} allowed in C"
            )
