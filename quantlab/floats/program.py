"""A float program: operations one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from quantlab.floats.operations import Operation


@dataclass(frozen=True)
class FloatType:
    """The machine's floats."""

    name: str = "f32"

    @property
    def dtype(self) -> DTypeLike:
        return np.dtype(np.float32)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FloatTensor:
    """A tensor of one sample. shape: as the network has it, without the batch."""

    shape: tuple[int, ...]
    kind: FloatType = FloatType()

    def __str__(self) -> str:
        return f"{self.kind}{list(self.shape)}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A tensor that the network gives, and the array that has it."""

    array: str
    tensor: FloatTensor


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatProgram:
    """inputs, results: what the network takes and gives, by name; images lie channels last.
    sizes: how many numbers each array has that an operation writes. Operations write arrays before
    others read them."""

    inputs: Mapping[str, FloatTensor]
    operations: Sequence[Operation]
    results: Mapping[str, Result]
    sizes: Mapping[str, int]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the results."""
        return tuple(self.results)

    @cached_property
    def types(self) -> Mapping[str, FloatTensor]:
        """The inputs and the results."""
        return {**self.inputs, **{name: result.tensor for name, result in self.results.items()}}

    def size(self, name: str) -> int:
        """Return how many numbers an array has."""
        return prod(self.inputs[name].shape) if name in self.inputs else self.sizes[name]
