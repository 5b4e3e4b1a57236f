"""Pooling over windows of height and width, `[C, H, W]` to `[C, H', W']`."""

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.integer.operations.operation import Operation
from quantlab.integer.operations.windows import Windows
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Operation):
    """The largest integer in each window; what lies beyond the border does not take part."""

    windows: Windows

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if len(given.shape) != 3:
            self.refuse(str(given), "three axes")
        channels, height, width = given.shape
        return TensorType((channels, *self.windows.output_size(height, width)), given.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool(Operation):
    """The sum over each window, in 32 bits; `padding_code` stands beyond the border.

    An average is this sum, rescaled.
    """

    windows: Windows
    padding_code: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if len(given.shape) != 3 or given.kind not in (U8, S8, S16):
            self.refuse(str(given), "u8, s8 or s16 of three axes")
        code = self.padding_code
        if self.windows.is_padded and not given.kind.holds(code, code):
            self.refuse(f"padding_code {code}", f"one of {given.kind}")
        channels, height, width = given.shape
        return TensorType((channels, *self.windows.output_size(height, width)), S32)


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptiveSumPool(Operation):
    """The sums over `size` windows: window i of n begins at floor(i H / n) and ends before
    ceil((i + 1) H / n), as torch has it."""

    size: tuple[int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.size) < 1:
            self.refuse(f"size {self.size}", "sizes from 1")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if len(given.shape) != 3 or given.kind not in (U8, S8, S16):
            self.refuse(str(given), "u8, s8 or s16 of three axes")
        return TensorType((given.shape[0], *self.size), S32)


def adaptive_ends(size: int, count: int) -> list[tuple[int, int]]:
    """Return where each of `count` adaptive windows over `size` numbers begins and ends."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
