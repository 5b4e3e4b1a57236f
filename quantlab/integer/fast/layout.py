"""How tensors lie in memory: images with their channels last, everything else as it is.

An image is a tensor of three axes, but for what a Linear makes. Tensors have the axes of the
program, `[N, C, H, W]`, whatever the order in memory; NumPy's strides say it. So what only moves
numbers needs no kernel.
"""

from collections.abc import Sequence
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Integers = NDArray[Any]

_FEW_CHANNELS = 8


def packed(x: Integers) -> Integers:
    """Return a tensor `[N, ...]` with channels last and no gaps; copied only if it has to be."""
    if x.ndim != 4:
        return plain(x)
    last = x.transpose(0, 2, 3, 1)
    if last.flags.c_contiguous or x.shape[1] > _FEW_CHANNELS:
        return plain(last)
    memory = np.empty(last.shape, x.dtype)
    for channel in range(x.shape[1]):  # NumPy copies long rows faster than many short ones
        memory[..., channel] = last[..., channel]
    return memory


def plain(x: Integers) -> Integers:
    """Return a tensor with its axes in order and no gaps; copied only if it has to be."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else np.require(x, requirements=("C", "A"))


def new(count: int, shape: Sequence[int], dtype: DTypeLike) -> tuple[Integers, Integers]:
    """Return a new tensor `[count, *shape]` as it lies in memory, and with the program's axes."""
    if len(shape) != 3:
        memory = np.empty((count, *shape), dtype)
        return memory, memory
    memory = np.empty((count, *shape[1:], shape[0]), dtype)
    return memory, memory.transpose(0, 3, 1, 2)


def num_channels(shape: Sequence[int]) -> int:
    """Return how many numbers follow one another with constants of their own."""
    return shape[0] if len(shape) == 3 else shape[-1] if shape else 1


def by_channel(constant: Integers, shape: Sequence[int]) -> Integers | None:
    """Return a constant that broadcasts against `shape` as `[channels]`; None if it varies
    otherwise."""
    full = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    axis = 0 if len(shape) == 3 else len(shape) - 1
    if full.ndim and prod(full.shape) != full.shape[axis]:
        return None
    return np.ascontiguousarray(np.broadcast_to(full.reshape(-1), (num_channels(shape),)))


def whole_rows(shape: Sequence[int]) -> int:
    """Return how many rows of channels together fill vectors of 16; 1 if a sample has no such
    number of rows."""
    rows = 16 // gcd(num_channels(shape), 16)
    return rows if prod(shape) % (rows * num_channels(shape)) == 0 else 1
