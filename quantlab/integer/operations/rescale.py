"""What goes from one scale to another has in common; see `Requantize` and `Add`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.operation import Array, Operation
from quantlab.integer.tensor_type import IntegerType, TensorType

MAX_SHIFT = 62


@dataclass(frozen=True, kw_only=True, eq=False)
class Rescale(Operation):
    """clamp((the sum of multiplier * input + offset) >> shift, low, high), in 64 bits.

    The shift rounds down; with half of 2^shift in the offset it rounds to the nearest, ties
    upwards. Multipliers are int32, offset and shift int64, the shift from 0 to 62. Each has the
    shape of the output or one that broadcasts against it, such as `[O, 1, 1]` or `[]`.

    kind: of the output; `low` and `high` are within it. multiplier_names: the fields that are the
    inputs' multipliers, in their order.
    """

    multiplier_names: ClassVar[tuple[str, ...]]

    offset: NDArray[np.int64]
    shift: NDArray[np.int64]
    low: int
    high: int
    kind: IntegerType

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kind.minimum <= self.low <= self.high <= self.kind.maximum:
            self.refuse(f"low {self.low}, high {self.high}", f"a range of {self.kind}")
        for name in (*self.multiplier_names, "offset", "shift"):
            if not getattr(self, name).size:
                self.refuse(f"{name} of no integer", "at least one")
        if self.shift.min() < 0 or self.shift.max() > MAX_SHIFT:
            self.refuse(f"shift {self.shift.min()} to {self.shift.max()}", f"0 to {MAX_SHIFT}")

    @property
    def multipliers(self) -> tuple[NDArray[np.int32], ...]:
        """The multiplier of each input."""
        return tuple(getattr(self, name) for name in self.multiplier_names)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        if len(inputs) != len(self.multipliers):
            self.refuse(f"{len(inputs)} inputs", f"{len(self.multipliers)}, one a multiplier")
        shape = self.broadcast(inputs)
        arrays: list[Array] = [*self.multipliers, self.offset, self.shift]
        for array in arrays:
            if not _fits(array.shape, shape):
                self.refuse(f"constants of {[a.shape for a in arrays]}", f"such as fit {shape}")
        return TensorType(shape, self.kind)


def _fits(shape: tuple[int, ...], output: tuple[int, ...]) -> bool:
    """Return whether a constant's shape broadcasts against the output's."""
    if len(shape) > len(output):
        return False
    ends = output[len(output) - len(shape) :]
    return all(size in (1, end) for size, end in zip(shape, ends, strict=True))
