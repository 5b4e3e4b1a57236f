"""What a traced model gives: every element of every tensor, and its outputs, as they lie."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.interface import outputs_of
from quantlab.deploy.c.placed import Placed, channels_last, in_order
from quantlab.errors import VerificationError
from quantlab.integer.program import Program

_NOTHING = 0x55555555  # where nothing came: beyond any number of 8 or 16 bits


class Traced:
    """The tensors of a program for some samples.

    arrays: by name, 32 bits an element, `[N, elements]`. outputs: the types of those outputs that
    `ql_run` gives, by name.
    """

    def __init__(self, program: Program, tensors: Mapping[str, Placed], count: int) -> None:
        self._program, self._tensors = program, tensors
        self._names = list(program.types)
        self.outputs = {name: program.types[name] for name in outputs_of(program)}
        self.arrays = {name: self._empty(name, count) for name in tensors}
        self._given = {name: self._empty(name, count) for name in self.outputs}

    def _empty(self, name: str, count: int) -> NDArray[np.int32]:
        return np.full((count, prod(self._program.types[name].shape)), _NOTHING, np.int32)

    def keep(self, number: int, sample: int, first: int, values: NDArray[np.int32]) -> None:
        """Take elements first, first + 1, ... of the tensor of this number."""
        self.arrays[self._names[number]][sample, first : first + len(values)] = values

    def give(self, name: str, sample: int, values: NDArray[Any]) -> None:
        """Take an output as it lies in the caller's memory."""
        self._given[name][sample] = values.reshape(-1)

    def values(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name of every tensor that an operation makes, and its value `[N, ...]`.

        Raises VerificationError for an output that is not what was traced of it.
        """
        for operation in self._program.operations:
            name = operation.output
            value = _in_shape(self.arrays[name], self._tensors[name])
            if name in self.outputs:
                self._check_output(name, value)
            yield name, value

    def _check_output(self, name: str, traced: NDArray[np.int32]) -> None:
        kind = self.outputs[name]
        given = _in_shape(self._given[name], in_order("", kind, channels_last(kind.shape)))
        if not np.array_equal(given, traced):
            place = tuple(int(i) for i in np.argwhere(given != traced)[0])
            raise VerificationError(
                f"output '{name}'{list(place)}: {given[place]} given by ql_run, "
                f"{traced[place]} before it was copied"
            )


def laid_out(values: NDArray[Any]) -> NDArray[Any]:
    """Return `[N, ...]` with each sample as the model takes it."""
    order = channels_last(values.shape[1:])
    return np.ascontiguousarray(values.transpose(0, *(1 + axis for axis in order)))


def _in_shape(values: NDArray[np.int32], placed: Placed) -> NDArray[Any]:
    """Return `[N, ...]` of elements as they lie, in the tensor's type if that has all of them."""
    sizes = [placed.axes[axis] for axis in placed.order]
    back = np.argsort(placed.order)
    found = values.reshape(len(values), *sizes).transpose(0, *(1 + back))
    kind = placed.kind.kind
    if kind.minimum <= found.min(initial=0) and found.max(initial=0) <= kind.maximum:
        found = found.astype(kind.dtype)
    return found.reshape(len(values), *placed.kind.shape)
