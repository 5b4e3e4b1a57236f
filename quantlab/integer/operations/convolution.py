"""Convolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.operation import Operation
from quantlab.integer.operations.windows import Windows
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Operation):
    """bias + the sum of weight * input over each window, in 32 bits.

    Shapes: `[C, H, W]` to `[O, H', W']`. weight: `[O, C / groups, kernel height, kernel width]`,
    int8. bias: `[O]`, int32. weight_bits: within which the weights lie, signed; 1 for -1 and 1.
    padding_codes: `[C]`, int32, what stands beyond the border: the codes of zero.
    """

    weight: NDArray[np.int8]
    weight_bits: int
    bias: NDArray[np.int32]
    padding_codes: NDArray[np.int32]
    windows: Windows
    groups: int = 1

    num_axes: ClassVar[Mapping[str, int]] = {"weight": 4, "bias": 1, "padding_codes": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups < 1:
            self.refuse(f"groups {self.groups}", "numbers from 1")

    def num_bits(self, constant: str) -> int | None:
        return self.weight_bits if constant == "weight" else None

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if given.kind not in (U8, S8, S16) or len(given.shape) != 3:
            self.refuse(str(given), "u8, s8 or s16 of three axes")
        channels, height, width = given.shape
        num_outputs, per_group, *kernel = self.weight.shape
        if per_group * self.groups != channels or num_outputs % self.groups:
            self.refuse(
                f"{channels} channels, {self.groups} groups and weight {self.weight.shape}",
                f"{per_group * self.groups} channels and a multiple of the groups",
            )
        if tuple(kernel) != self.windows.kernel or self.bias.shape != (num_outputs,):
            self.refuse(f"bias {self.bias.shape}, kernel {kernel}", f"[{num_outputs}], windows'")
        if self.padding_codes.shape != (channels,):
            self.refuse(f"padding_codes {self.padding_codes.shape}", f"[{channels}]")
        low, high = int(self.padding_codes.min()), int(self.padding_codes.max())
        if self.windows.is_padded and not given.kind.holds(low, high):
            self.refuse(f"padding_codes {low} to {high}", f"those of {given.kind}")
        return TensorType((num_outputs, *self.windows.output_size(height, width)), S32)
