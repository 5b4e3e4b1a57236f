"""Which one is largest."""

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import S32, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class ArgMax(Operation):
    """The index of the largest integer along an axis, of equal ones the first."""

    axis: int

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if not 0 <= self.axis < len(given.shape):
            self.refuse(f"axis {self.axis} of {given}", "an axis of it")
        return TensorType(given.shape[: self.axis] + given.shape[self.axis + 1 :], S32)
