"""Fully connected layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Operation):
    """bias + weight times input, in 32 bits.

    Shapes: `[..., I]` to `[..., O]`. weight: `[O, I]`, int8. bias: `[O]`, int32. weight_bits: as of
    a Convolution.
    """

    weight: NDArray[np.int8]
    weight_bits: int
    bias: NDArray[np.int32]

    num_axes: ClassVar[Mapping[str, int]] = {"weight": 2, "bias": 1}

    def num_bits(self, constant: str) -> int | None:
        return self.weight_bits if constant == "weight" else None

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        num_outputs, num_inputs = self.weight.shape
        if given.kind not in (U8, S8, S16) or not given.shape or given.shape[-1] != num_inputs:
            self.refuse(str(given), f"u8, s8 or s16 of [..., {num_inputs}]")
        if self.bias.shape != (num_outputs,):
            self.refuse(f"bias {self.bias.shape}", f"[{num_outputs}]")
        return TensorType((*given.shape[:-1], num_outputs), S32)
