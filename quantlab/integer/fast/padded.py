"""Inputs of layers as the kernels read them: one after the other in memory, with their padding."""

from math import prod

import numpy as np
from numpy.typing import DTypeLike

from quantlab.integer.fast.layout import Integers
from quantlab.integer.fast.windows import Geometry

SLACK = 16  # numbers that may be read behind the last
SIGN = 128  # what makes signed bytes unsigned


class PaddedInput:
    """Lays inputs out. Memory and borders are made once for each number of samples.

    dtype: as the kernel takes it. is_shifted: signed bytes become unsigned, 128 more. may_read_on:
    whether the kernel reads numbers behind the last.
    """

    def __init__(
        self, geometry: Geometry, dtype: DTypeLike, *, is_shifted: bool, may_read_on: bool
    ) -> None:
        self._geometry = geometry
        self._dtype = np.dtype(dtype)
        self._is_shifted = is_shifted
        self._is_copied = geometry.padding_codes is not None or is_shifted or may_read_on
        self._whole = np.empty((0, *geometry.shape), dtype)
        self._flat = self._whole.reshape(-1)

    def lay_out(self, memory: Integers) -> Integers:
        """Return a tensor, without gaps and for images with channels last, as flat memory that is
        valid until the next call."""
        if not self._is_copied:
            return memory.view(self._dtype).reshape(-1)
        if len(self._whole) != len(memory):
            self._make(len(memory))
        inside = self._whole
        if self._geometry.padding_codes is not None:
            (top, left), (height, width) = self._geometry.start, memory.shape[1:3]
            inside = self._whole[:, top : top + height, left : left + width]
        if self._is_shifted:
            np.bitwise_xor(memory.view(np.uint8), np.uint8(SIGN), out=inside)
        else:
            np.copyto(inside, memory.view(self._dtype))
        return self._flat

    def _make(self, count: int) -> None:
        shape = (count, *self._geometry.shape)
        self._flat = np.zeros(prod(shape) + SLACK, self._dtype)
        self._whole = self._flat[: prod(shape)].reshape(shape)
        if self._geometry.padding_codes is not None:
            self._whole[:] = self._geometry.padding_codes + (SIGN if self._is_shifted else 0)
