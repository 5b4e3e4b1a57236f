"""Multiplication of two tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Operation):
    """(left - left_zero) * (right - right_zero), in 32 bits; the two broadcast.

    left_zero, right_zero: the codes of zero.
    """

    left_zero: int = 0
    right_zero: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        if len(inputs) != 2 or any(given.kind not in (U8, S8, S16) for given in inputs):
            self.refuse(", ".join(map(str, inputs)), "two tensors of u8, s8 or s16")
        return TensorType(self.broadcast(inputs), S32)
