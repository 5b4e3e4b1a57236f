"""Functions of one code, by table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup(Operation):
    """table[input - lowest integer of its type]; 256 entries, of type `kind`."""

    table: NDArray[np.int16]
    kind: IntegerType

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if given.kind not in (U8, S8) or self.kind not in (U8, S8, S16):
            self.refuse(f"{given} to {self.kind}", "u8 or s8, to u8, s8 or s16")
        if self.table.shape != (256,):
            self.refuse(f"table {self.table.shape}", "[256]")
        if self.table.min() < self.kind.minimum or self.table.max() > self.kind.maximum:
            self.refuse(f"table of {self.table.min()} to {self.table.max()}", f"{self.kind}")
        return TensorType(given.shape, self.kind)
