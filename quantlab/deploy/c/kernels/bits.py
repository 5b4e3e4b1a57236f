"""Weights of 1, 2 and 4 bits.

Where inputs have few levels too, products are counted: see `counted.py`. A count of 32 products
takes 9 to 10 instructions of a Cortex-M3 for each plane of the inputs and of the weights, so that
up to three pairs of planes take fewer than the other way, `fields.py`, whose products take 9
instructions for eight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.counted import counted_bytes, counted_words, plane_bytes
from quantlab.deploy.c.kernels.fields import field_bytes, field_words, most_inputs
from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.formats.weights.bits import Bits
from quantlab.integer.layout.choice import padded_levels
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.layout.planes import Planes, planes_of
from quantlab.integer.tensor_type import S16, U8, TensorType

_MOST_COUNTED = 3  # pairs of planes of inputs and weights
_CODE_BYTES = {1: 1900, 2: 1900, 4: 1800}


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
            return "inputs of 16 bits"
        if factors.is_depthwise:
            return "a channel for each output"
        reason = Bits(self.num_bits).obstacle(_codes(factors))
        return None if reason is None else f"weights: {reason}"

    def nbytes(self, factors: Factors) -> int:
        codes = _codes(factors)
        if self._counted(_levels(factors)) is not None:
            return counted_bytes(codes.shape, self.num_bits)
        return field_bytes(codes.shape, self.num_bits, factors.groups)

    def store(self, factors: Factors) -> Stored:
        levels = _levels(factors)
        planes = self._counted(levels)
        columns = _codes(factors).shape[1]
        scratch = 0 if _is_in_place(factors) else columns
        if planes is None:
            function, more = f"field_product_{self.num_bits}_{factors.kind}", set[str]()
        else:
            function, more = "bit_product", {"pack_bits", "count_common"}
            scratch += plane_bytes(columns, planes)
        return Stored(
            encoding=self.encoding,
            weights=self._words(factors),
            function=function,
            runtime=frozenset({"multiply_gathered", "gather_window", *more}),
            scratch=TensorType((1, scratch), U8) if scratch else None,
            added=None if planes is None else _added(factors, planes),
        )

    def _words(self, factors: Factors) -> NDArray[np.uint32]:
        codes, levels = _codes(factors), _levels(factors)
        planes = self._counted(levels)
        if planes is not None:
            return counted_words(codes, self.num_bits, planes)
        most = most_inputs(self.num_bits, max(-levels.low, levels.high))
        return field_words(codes, self.num_bits, factors.groups, most)

    def _counted(self, levels: Levels) -> Planes | None:
        """Return the planes of the inputs where products are counted, None where they are not."""
        planes = planes_of(levels)
        is_few = self.num_bits <= 2 and self.num_bits * planes.count <= _MOST_COUNTED
        return planes if is_few else None


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
