"""Inputs of layers as the kernels read them: padded, bytes without a sign."""

from math import prod

import numpy as np

from quantlab.backend import WindowPlaces
from quantlab.integer.fast.layout import Integers, packed
from quantlab.integer.fast.windows import Geometry
from quantlab.integer.tensor_type import S8, S16, IntegerType

_SLACK = 16  # numbers that may be read behind the last
SIGN = 128  # what is added to signed bytes


class PaddedInput:
    """Lays inputs of a layer out. Memory and borders are made once for each number of samples."""

    def __init__(self, geometry: Geometry, kind: IntegerType) -> None:
        self._geometry = geometry
        self._kind = kind
        self._made: dict[int, tuple[WindowPlaces, Integers, Integers]] = {}
        self._is_copied = (
            geometry.padding_codes is not None or kind == S8 or geometry.span % _SLACK != 0
        )

    def lay_out(self, x: Integers) -> tuple[Integers, WindowPlaces]:
        """Return a tensor as flat memory, and where the windows lie in it."""
        count = len(x)
        if count not in self._made:
            self._made = {count: self._new(count)}  # of one size only: the last
        places, flat, whole = self._made[count]
        memory = packed(x)
        if not self._is_copied:
            return memory.reshape(-1), places
        inside = whole
        if self._geometry.padding_codes is not None:
            (top, left), (height, width) = self._geometry.start, memory.shape[1:3]
            inside = whole[:, top : top + height, left : left + width]
        if self._kind == S8:
            np.bitwise_xor(memory.view(np.uint8), np.uint8(SIGN), out=inside)
        else:
            np.copyto(inside, memory)
        return flat, places

    def _new(self, count: int) -> tuple[WindowPlaces, Integers, Integers]:
        geometry = self._geometry
        places = geometry.places(count)
        if not self._is_copied:
            nothing = np.empty(0, np.uint8)
            return places, nothing, nothing
        dtype = np.int16 if self._kind == S16 else np.uint8
        shape = (count, *geometry.shape)
        flat = np.zeros(prod(shape) + _SLACK, dtype)
        whole = flat[: prod(shape)].reshape(shape)
        if geometry.padding_codes is not None:
            whole[:] = geometry.padding_codes + (SIGN if self._kind == S8 else 0)
        return places, flat, whole
