"""Inputs of layers as the kernels read them: one after the other in memory, with their padding."""

from dataclasses import dataclass
from math import prod
from threading import local

import numpy as np
from numpy.typing import DTypeLike

from quantlab.integer.fast.geometry import Geometry
from quantlab.integer.fast.layout import Integers

SLACK = 16  # numbers that may be read behind the last
SIGN = 128  # what makes signed bytes unsigned


@dataclass(frozen=True, eq=False)
class _Layout:
    """Memory with its borders, flat and with the samples' axes."""

    flat: Integers
    whole: Integers


class PaddedInput:
    """Lays inputs out. Memory and borders are made once for each thread and number of samples.

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
        self._kept = local()

    def lay_out(self, memory: Integers) -> Integers:
        """Return a tensor, without gaps and for images with channels last, as flat memory that is
        valid until this thread's next call."""
        if not self._is_copied:
            return memory.view(self._dtype).reshape(-1)
        layout = getattr(self._kept, "layout", None)
        if layout is None or len(layout.whole) != len(memory):
            layout = self._kept.layout = self._new(len(memory))
        inside = layout.whole
        if self._geometry.padding_codes is not None:
            (top, left), (height, width) = self._geometry.start, memory.shape[1:3]
            inside = layout.whole[:, top : top + height, left : left + width]
        if self._is_shifted:
            np.bitwise_xor(memory.view(np.uint8), np.uint8(SIGN), out=inside)
        else:
            np.copyto(inside, memory.view(self._dtype))
        return layout.flat

    def _new(self, count: int) -> _Layout:
        shape = (count, *self._geometry.shape)
        flat = np.zeros(prod(shape) + SLACK, self._dtype)
        whole = flat[: prod(shape)].reshape(shape)
        if self._geometry.padding_codes is not None:
            whole[:] = self._geometry.padding_codes + (SIGN if self._is_shifted else 0)
        return _Layout(flat, whole)
