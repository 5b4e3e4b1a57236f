"""Few levels by comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

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
