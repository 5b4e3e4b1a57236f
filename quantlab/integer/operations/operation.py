"""What all operations of an integer program have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NoReturn, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.tensor_type import TensorType

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(ABC):
    """An operation: integers in, integers out.

    Making one checks each field against its annotation: a constant `NDArray[np.int32]` is what
    int32 holds, whatever the type that it is given in, and is stored as int32. Raises UsageError.

    inputs, output: names of tensors.
    layer: the path of the layer or node that it comes from, for people.
    num_axes: of constants, by name; of those not named any number is allowed.
    """

    num_axes: ClassVar[Mapping[str, int]] = {}

    inputs: tuple[str, ...]
    output: str
    layer: str = ""

    def __post_init__(self) -> None:
        dtypes = {field.name: _dtype_of(field.type) for field in fields(self)}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.integer):
                value = value.item()
                object.__setattr__(self, field.name, value)
            if dtypes[field.name] is None and not _is_a(value, field.type):
                self.refuse(f"{field.name} {value!r}", _name_of(field.type))
        for name, dtype in dtypes.items():
            if dtype is not None:
                constant = self._constant(name, getattr(self, name), dtype)
                object.__setattr__(self, name, constant)

    def constants(self) -> Mapping[str, Array]:
        """Return the tensors that are part of the operation, by the names of its fields."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}

    def num_bits(self, constant: str) -> int | None:
        """Return the bits that the integers of a constant are stored in; None for all of its type.

        1 bit stands for -1 and 1.
        """
        return None

    @abstractmethod
    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """Return the type of the output. Raises UsageError for inputs that it cannot take."""

    def one(self, inputs: Sequence[TensorType]) -> TensorType:
        """Return the only input. Raises UsageError if there is another number of them."""
        if len(inputs) != 1:
            self.refuse(f"{len(inputs)} inputs", "one")
        return inputs[0]

    def broadcast(self, inputs: Sequence[TensorType]) -> tuple[int, ...]:
        """Return the shape of what is made of all inputs, number by number. Raises UsageError
        unless they have as many axes, as the batch before them, and sizes that are alike or 1."""
        shapes = [given.shape for given in inputs]
        sizes = [set(axis) - {1} for axis in zip(*shapes, strict=False)]
        if len({len(shape) for shape in shapes}) > 1 or any(len(axis) > 1 for axis in sizes):
            self.refuse(", ".join(map(str, inputs)), "as many axes of the same sizes, or of size 1")
        return np.broadcast_shapes(*shapes)

    def _constant(self, name: str, given: Any, dtype: np.dtype[Any]) -> Array:
        """Return a constant as it is stored: a copy, read-only. Raises UsageError."""
        try:
            values, num_axes = np.asarray(given), self.num_axes.get(name)
        except ValueError:  # rows of different lengths, say
            self.refuse(f"{name} that is no array", f"integers of {dtype}")
        if values.dtype.kind not in "iu":
            self.refuse(f"{name} of {values.dtype}", f"integers of {dtype}")
        if num_axes not in (None, values.ndim):
            self.refuse(f"{name} of shape {list(values.shape)}", f"{num_axes} axes")
        if values.size:
            self._check_range(name, int(values.min()), int(values.max()), dtype)
        if self.num_bits(name) == 1 and not (np.abs(values) == 1).all():
            self.refuse(f"{name} in 1 bit with others than -1 and 1", "these two")
        stored = np.array(values, dtype, order="C")
        stored.setflags(write=False)
        return stored

    def _check_range(self, name: str, low: int, high: int, dtype: np.dtype[Any]) -> None:
        num_bits = self.num_bits(name)
        if num_bits is not None and not 1 <= num_bits <= 8 * dtype.itemsize:
            self.refuse(f"{name} in {num_bits} bits", f"1 to {8 * dtype.itemsize}")
        ends = np.iinfo(dtype)
        least, most = int(ends.min), int(ends.max)
        if num_bits is not None and num_bits > 1:
            least, most = -(2 ** (num_bits - 1)), 2 ** (num_bits - 1) - 1
        if low < least or high > most:
            self.refuse(f"{name} of {low} to {high}", f"{least} to {most}")

    def refuse(self, given: str, allowed: str) -> NoReturn:
        """Raises UsageError in the words of all operations."""
        raise UsageError(
            f"{type(self).__name__} '{self.output}' ({self.layer or 'no layer'}): {given} given, "
            f"{allowed} allowed"
        )


def _dtype_of(annotation: Any) -> np.dtype[Any] | None:
    """Return the type of the elements of an annotation `NDArray[...]`; None for another one."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is np.ndarray:
        arguments = get_args(arguments[1])
    elif origin is not NDArray:  # which it is from NumPy 2.5 on, with Python 3.12
        return None
    found: np.dtype[Any] = np.dtype(arguments[0])
    return found


def _is_a(value: Any, annotation: Any) -> bool:
    """Return whether a value is of a class or a tuple of them."""
    if get_origin(annotation) is not tuple:
        return isinstance(value, annotation) and not isinstance(value, bool)
    first, *others = get_args(annotation)
    is_long_enough = isinstance(value, tuple) and (others == [...] or len(value) == 1 + len(others))
    return is_long_enough and all(_is_a(part, first) for part in value)


def _name_of(annotation: Any) -> str:
    """Return an annotation in words."""
    if get_origin(annotation) is not tuple:
        return {int: "an integer", str: "text"}.get(annotation, str(annotation.__name__))
    first, *others = get_args(annotation)
    count = "" if others == [...] else f"{1 + len(others)} of "
    return f"a tuple, {count}{first.__name__}"
