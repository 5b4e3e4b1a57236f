"""Few levels by comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import IntegerType, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold(Operation):
    """low + step * how many thresholds of its channel a number reaches.

    thresholds: `[C, L]`, int64, along axis 0 of the input; with one channel for all. Where `signs`
    (`[C]`, int8) is -1 the number is negated first: it reaches a threshold from above.
    """

    thresholds: NDArray[np.int64]
    signs: NDArray[np.int8]
    low: int
    step: int
    kind: IntegerType

    num_axes: ClassVar[Mapping[str, int]] = {"thresholds": 2, "signs": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.abs(self.signs) == 1).all():
            self.refuse(f"signs {self.signs.tolist()}", "-1 and 1")
        if (self.thresholds[:, 1:] < self.thresholds[:, :-1]).any():
            self.refuse("thresholds that fall along a row", "rising ones")
        if self.step < 1:
            self.refuse(f"step {self.step}", "numbers from 1")

    @property
    def high(self) -> int:
        return int(self.low + self.step * self.thresholds.shape[1])

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        channels = len(self.thresholds)
        if (
            not given.shape
            or channels not in (1, given.shape[0])
            or self.signs.shape != (channels,)
        ):
            self.refuse(f"{given} and thresholds {self.thresholds.shape}", "one row a channel")
        if not self.kind.minimum <= self.low <= self.high <= self.kind.maximum:
            self.refuse(f"levels {self.low} to {self.high}", f"{self.kind}")
        return TensorType(given.shape, self.kind)
