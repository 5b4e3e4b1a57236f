"""Weights of 1, 2 and 4 bits.

Where inputs have few levels too, products are counted, see `counted.py`, if that takes fewer
instructions than the other way, `fields.py`: a count of 32 products takes about ten for each pair
of planes of inputs and weights, and fields nine for eight products.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.counted import (
    COUNTED,
    counted_bytes,
    counted_instructions,
    counted_words,
    plane_bytes,
)
from quantlab.deploy.c.kernels.fields import (
    field_bytes,
    field_instructions,
    field_words,
    most_inputs,
)
from quantlab.deploy.c.kernels.kernel import A_PLACE, Factors, Kernel, Stored
from quantlab.formats.weights.bits import Bits
from quantlab.integer.layout.choice import padded_levels
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.layout.planes import Planes, planes_of
from quantlab.integer.tensor_type import S16, U8, TensorType

_CODE_BYTES = {1: 2000, 2: 2000, 4: 1800}
_GATHERING = 40  # instructions of a row of a window


@dataclass(frozen=True)
class BitsKernel(Kernel):
    """num_bits: of each weight, 1, 2 or 4; 1 for weights of -1 and 1."""

    num_bits: int

    @property
    def encoding(self) -> str:
        return Bits(self.num_bits).name

    @property
    def code_bytes(self) -> int:
        return _CODE_BYTES[self.num_bits]

    def obstacle(self, factors: Factors) -> str | None:
        if factors.kind == S16:
            return "its inputs have 16 bits"
        if factors.is_depthwise:
            return super().obstacle(factors)
        reason = Bits(self.num_bits).obstacle(_codes(factors))
        return None if reason is None else f"weights: {reason}"

    def nbytes(self, factors: Factors) -> int:
        codes = _codes(factors)
        if self._counted(factors) is not None:
            return counted_bytes(codes.shape, self.num_bits)
        return field_bytes(codes.shape, self.num_bits, factors.groups)

    def instructions(self, factors: Factors) -> float:
        planes, shape = self._counted(factors), _shape(factors)
        if planes is not None:
            of_window = counted_instructions(shape, self.num_bits, planes)
        else:
            of_window = field_instructions(shape, self.num_bits, self._most(factors))
        if not _is_in_place(factors):
            of_window += _GATHERING * factors.windows.kernel[0] + shape[1]
        return (A_PLACE + of_window * factors.groups) * prod(factors.num_places)

    def store(self, factors: Factors) -> Stored:
        codes, planes = _codes(factors), self._counted(factors)
        scratch = 0 if _is_in_place(factors) else codes.shape[1]
        if planes is None:
            words = field_words(codes, self.num_bits, factors.groups, self._most(factors))
            function, more = f"field_product_{self.num_bits}_{factors.kind}", set[str]()
        else:
            words = counted_words(codes, self.num_bits, planes)
            function, more = "bit_product", {"pack_bits", "count_common"}
            scratch += plane_bytes(codes.shape[1], planes)
        return Stored(
            encoding=self.encoding,
            weights=words,
            function=function,
            runtime=frozenset({"multiply_gathered", "gather_window", *more}),
            scratch=TensorType((1, scratch), U8) if scratch else None,
            added=None if planes is None else _added(factors, planes),
        )

    def _counted(self, factors: Factors) -> Planes | None:
        """Return the planes of the inputs where products are counted, None where they are not."""
        planes, shape = planes_of(_levels(factors)), _shape(factors)
        if self.num_bits not in COUNTED:
            return None
        counted = counted_instructions(shape, self.num_bits, planes)
        fields = field_instructions(shape, self.num_bits, self._most(factors))
        return planes if counted < fields else None

    def _most(self, factors: Factors) -> int:
        """Return how many inputs give sums of 16 bits."""
        levels = _levels(factors)
        return most_inputs(self.num_bits, max(-levels.low, levels.high))


def _shape(factors: Factors) -> tuple[int, int]:
    """Return the outputs and columns of a group."""
    num_outputs, columns = _codes(factors).shape
    return num_outputs // factors.groups, columns


def _codes(factors: Factors) -> NDArray[np.int8]:
    """Return the weights `[O, K]`, in the order of a window."""
    return np.ascontiguousarray(factors.weight.reshape(len(factors.weight), -1))


def _is_in_place(factors: Factors) -> bool:
    """Return whether each group of a window is one stretch of the input."""
    windows = factors.windows
    rows, columns = windows.kernel
    is_row = rows == 1 and (columns == 1 or factors.groups == windows.dilation[1] == 1)
    return is_row and not windows.is_padded


def _levels(factors: Factors) -> Levels:
    """Return the levels of a layer's input with its padding."""
    (name,) = factors.layer.inputs
    return padded_levels(factors.layer, levels_of(factors.program)[name])


def _added(factors: Factors, planes: Planes) -> NDArray[np.int32] | None:
    """Return what counting leaves out of the sums: what the inputs have in common."""
    if planes.offset == 0:
        return None
    sums: NDArray[np.int32] = _codes(factors).sum(1, dtype=np.int32) * np.int32(planes.offset)
    return sums
