"""A float program on its way to C: calls, buffers and constants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.call import Argument, Call, Pointer
from quantlab.deploy.c.text import array, header_name, structure, table
from quantlab.errors import UsageError
from quantlab.floats.operations import Operation
from quantlab.floats.program import FloatProgram

FLOAT_BYTES = 4
# Of a step that writes each number where it has read the one of this place.
IN_PLACE = Gap(forward=0, backward=None)


class FloatWriter:
    """See the module, and `written.Written`. definitions: of each header. runtime: its sources.
    encodings: of the layers' weights, with their bytes, by header."""

    def __init__(self, program: FloatProgram) -> None:
        self.program = program
        self.calls: list[Call] = []
        self.sizes = {
            name: FLOAT_BYTES * program.size(name) for name in (*program.inputs, *program.sizes)
        }
        self.given: dict[str, str] = {}
        self.definitions: dict[str, list[str]] = {}
        self.constant_bytes: dict[str, int] = {}
        self.weights: dict[str, tuple[str, int]] = {}
        self.runtime: set[str] = set()
        self._layer = self._header = ""
        self._constants: dict[tuple[str, bytes], str] = {}

    def begin(self, operation: Operation) -> None:
        """Let the constants that follow stand in the header of an operation."""
        self._layer = operation.layer
        self._header = f"{len(self.definitions):03d}_{header_name(operation.layer)}"
        self.definitions[self._header] = []
        self.constant_bytes[self._header] = 0

    def temporary(self, count: int) -> str:
        """Return a new buffer of so many floats."""
        name = f".{len(self.sizes)}"
        self.sizes[name] = FLOAT_BYTES * count
        return name

    def constants(self, name: str, values: NDArray[Any]) -> str:
        """Return the name in C of an array, which is defined unless there is one of the same
        values."""
        key = values.dtype.name, values.tobytes()
        if key not in self._constants:
            self.constant_bytes[self._header] += values.nbytes
            self._constants[key] = self._define(name, lambda found: array(found, values))
        return self._constants[key]

    def numbers(self, name: str, values: Sequence[float]) -> str:
        """Return the name of an array of floats, NULL of none."""
        return self.constants(name, np.array(values, np.float32)) if values else "NULL"

    def structure(self, kind: str, name: str, fields: Mapping[str, Any]) -> str:
        """Define a structure; return its name in C."""
        return self._define(name, lambda found: structure(kind, found, fields))

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
        over: Mapping[str, Mapping[str, Gap]] | None = None,
        is_directed: bool = False,
    ) -> None:
        """Append a call."""
        self.calls.append(
            Call(
                layer=self._layer,
                function=function,
                arguments=arguments,
                over=over,
                is_directed=is_directed,
            )
        )

    def function(self, name: str) -> str:
        """Return the name in C of a row function."""
        self.runtime.add(f"float_{name}")
        return f"ql_float_{name}"

    def weigh(self, encoding: str, nbytes: int) -> None:
        """Note how the weights of the operation at hand are stored."""
        self.weights[self._layer] = encoding, nbytes


def read(name: str, start: int = 0) -> Pointer:
    """Return an argument that is read, from one of its numbers on."""
    return Pointer(name, offset=FLOAT_BYTES * start)


def written(name: str, start: int = 0) -> Pointer:
    """Return an argument that is written, from one of its numbers on."""
    return Pointer(name, is_written=True, offset=FLOAT_BYTES * start)


def check_sizes(operation: Operation, fields: Mapping[str, Any]) -> None:
    """Raise UsageError for a size, by its name, that needs more than 16 bits."""
    for name, size in fields.items():
        if isinstance(size, int) and size > np.iinfo(np.uint16).max:
            raise UsageError(
                f"layer '{operation.layer}': {name} {size} given, at most 65535 allowed"
            )
