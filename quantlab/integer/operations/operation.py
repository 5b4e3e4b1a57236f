"""What all operations of an integer program have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.tensor_type import TensorType

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(ABC):
    """An operation: integers in, integers out.

    inputs, output: names of tensors.
    layer: the path of the layer or node that it comes from, for people.
    """

    inputs: tuple[str, ...]
    output: str
    layer: str = ""

    def __post_init__(self) -> None:
        for name, constant in self.constants().items():
            copy = np.array(constant, order="C")
            copy.setflags(write=False)
            object.__setattr__(self, name, copy)

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

    def refuse(self, given: str, allowed: str) -> NoReturn:
        """Raises UsageError in the words of all operations."""
        raise UsageError(
            f"{type(self).__name__} '{self.output}' ({self.layer or 'no layer'}): {given} given, "
            f"{allowed} allowed"
        )
