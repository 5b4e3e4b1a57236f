"""Integer programs: what is deployed, as a short list of operations with one exact meaning.

A program takes integers (a raw image, say) and computes with integers only; `interpreter` defines
each result to the bit. Its tensors have names, types and shapes without the batch; `reals` and
`rounded` say what numbers some of them stand for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.integer.bounds import Bound, prove
from quantlab.integer.encoding import Encoding
from quantlab.integer.operations import Operation, Threshold
from quantlab.integer.tensor_type import TensorType

ENDINGS = ("Softmax", "LogSoftmax")


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """The real numbers that integers stand for: scale * integer + offset, both float64 in a shape
    that broadcasts against the tensor's."""

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __call__(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self.scale * integers + self.offset, np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """See the module. Each operation reads inputs or what an operation before it makes.

    Making one checks types and shapes and proves that no accumulator can overflow. Raises
    UsageError, with the layer, where that fails.

    reals: what tensors stand for, by name. rounded: the numbers that a Threshold rounds, by the
    name of its output: what its input stands for there, behind a batch norm, say. (A Rescale has
    them in its multipliers.) quantizers: the tensor that has the codes of a quantizer of the
    network, by the quantizer's path. encodings: how a host makes the integers of an input, by its
    name, where they are no raw data. endings: what the network makes of each output in the end and
    the program leaves out, for it changes no order: a layer of ENDINGS over axis 1, or nothing, "";
    none at all if there is none.
    """

    inputs: Mapping[str, TensorType]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]
    reals: Mapping[str, Reading] = field(default_factory=dict)
    rounded: Mapping[str, Reading] = field(default_factory=dict)
    quantizers: Mapping[str, str] = field(default_factory=dict)
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    endings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in (*self.inputs, *(operation.output for operation in self.operations)):
            if not name or "." in name:  # which joins a tensor's name and its constant's
                raise UsageError(
                    f"program: a tensor named '{name}' given, text without '.' allowed, not empty"
                )
        for name in (*self.outputs, *self.reals, *self.quantizers.values()):
            if name not in self.types:
                hint = did_you_mean(name, self.types)
                raise UsageError(f"program: no tensor is named '{name}'{hint}")
        comparing = {op.output for op in self.operations if isinstance(op, Threshold)}
        for name in self.rounded:
            if name not in comparing:
                hint = did_you_mean(name, comparing)
                raise UsageError(f"program: no Threshold makes '{name}', which is rounded{hint}")
        for name, encoding in self.encodings.items():
            self._check_encoding(name, encoding)
        self._check_endings()
        assert self.bounds

    def _check_kinds(self) -> None:
        """Raise UsageError unless inputs, operations and outputs are what they are called."""
        tables: dict[str, type] = {
            "inputs": TensorType,
            "reals": Reading,
            "rounded": Reading,
            "quantizers": str,
            "encodings": Encoding,
        }
        for field_name, cls in tables.items():
            table = getattr(self, field_name)
            allowed = f"{cls.__name__} by name"
            check_kind(f"program.{field_name}", table, Mapping, allowed)
            for name, given in table.items():
                check_kind(f"program.{field_name}: the name {name!r}", name, str, "a str")
                check_kind(f"program.{field_name}.{name}", given, cls, allowed)
        for field_name, cls in (("operations", Operation), ("outputs", str), ("endings", str)):
            allowed = f"a tuple of {cls.__name__}"
            check_kind(f"program.{field_name}", getattr(self, field_name), tuple, allowed)
            for index, given in enumerate(getattr(self, field_name)):
                check_kind(f"program.{field_name}[{index}]", given, cls, allowed)
        for field_name in ("inputs", "outputs"):
            if not getattr(self, field_name):
                raise UsageError(f"program.{field_name}: none given, at least one allowed")

    def _check_endings(self) -> None:
        if self.endings and len(self.endings) != len(self.outputs):
            raise UsageError(
                f"program.endings: {len(self.endings)} given, one for each of the "
                f"{len(self.outputs)} outputs allowed, or none"
            )
        for ending in self.endings:
            if ending and ending not in ENDINGS:
                hint = did_you_mean(ending, ENDINGS)
                raise UsageError(
                    f"program: ending '{ending}' given, {', '.join(ENDINGS)} allowed{hint}"
                )

    def _check_encoding(self, name: str, encoding: Encoding) -> None:
        if name not in self.inputs:
            hint = did_you_mean(name, self.inputs)
            raise UsageError(f"program: no input is named '{name}', which is encoded{hint}")
        if self.inputs[name].shape != (len(encoding.names),):
            raise UsageError(
                f"program: an encoding of {len(encoding.names)} features given for the input "
                f"'{name}' of shape {list(self.inputs[name].shape)}; one for each allowed"
            )

    def encode(self, name: str, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the integers of an input: encoded, or the raw data where they are the integers.

        Raises UsageError as `Encoding` does.
        """
        if name not in self.encodings:
            return raw
        return self.encodings[name](raw, self.inputs[name])

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The type of every tensor, inputs first, then in the order of the operations."""
        found = dict(self.inputs)
        for operation in self.operations:
            for name in operation.inputs:
                if name not in found:
                    operation.refuse(f"input '{name}'", "an input or an earlier output")
            if operation.output in found:
                operation.refuse(f"output '{operation.output}', which exists", "a new name")
            found[operation.output] = operation.infer([found[name] for name in operation.inputs])
        return found

    @cached_property
    def bounds(self) -> Mapping[str, Bound]:
        """What every tensor is proven to lie within."""
        return prove(self.inputs, self.operations, self.types)

    @property
    def last_uses(self) -> Mapping[str, int]:
        """The position of the last operation that reads a tensor; none for outputs."""
        found = {name: i for i, op in enumerate(self.operations) for name in op.inputs}
        return {name: i for name, i in found.items() if name not in self.outputs}

    def __str__(self) -> str:
        lines = [f"{name}: {kind}" for name, kind in self.inputs.items()]
        for operation in self.operations:
            names = ", ".join(operation.inputs)
            kind = self.types[operation.output]
            lines.append(f"{operation.output} = {type(operation).__name__}({names}): {kind}")
        return "\n".join([*lines, f"return {', '.join(self.outputs)}"])
