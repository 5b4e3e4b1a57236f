"""Weights as planes of bits, which `runtime/bit_product.c` counts: see `runtime/bits.h`."""

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.layout.levels import Levels
from quantlab.integer.layout.planes import Planes, planes_of, split
from quantlab.integer.layout.words import num_words, pack

WIDTH = 32
_BYTES = 4  # that are taken at once
# Which input of a word each of its bits is.
_INPUTS = np.arange(WIDTH).reshape(-1, _BYTES).T.reshape(-1)

_PLANES = {
    1: planes_of(Levels(low=-1, high=1, step=2)),
    2: planes_of(Levels(low=-2, high=1)),
}

COUNTED = tuple(_PLANES)
"""Bits of a weight that can be counted."""


def counted_words(codes: NDArray[np.int8], num_bits: int, x: Planes) -> NDArray[np.uint32]:
    """Return the weights `[O, K]` of a layer: a word that says how, then output by output.

    num_bits: 1 for -1 and 1, 2 for -2 to 1. x: the planes of the inputs.
    """
    how = x.first | x.count << 8 | x.is_signed << 16 | num_bits << 24
    columns = codes.shape[1]
    tail = num_words(columns, WIDTH) * WIDTH - columns
    bits = np.pad(split(codes, _PLANES[num_bits]), [(0, 0), (0, 0), (0, tail)])
    in_order = bits.reshape(num_bits, len(codes), -1, WIDTH)[..., _INPUTS]
    words = pack(in_order, WIDTH)[..., 0]
    return np.concatenate([[how], words.transpose(1, 0, 2).reshape(-1)]).astype(np.uint32)


def counted_bytes(shape: tuple[int, ...], num_bits: int) -> int:
    """Return the bytes of what `counted_words` gives for weights `[O, K]`."""
    num_outputs, columns = shape
    return (1 + num_outputs * num_bits * num_words(columns, WIDTH)) * WIDTH // 8


def plane_bytes(columns: int, x: Planes) -> int:
    """Return the bytes of the planes of a window of `columns` inputs."""
    return x.count * num_words(columns, WIDTH) * WIDTH // 8


def counted_instructions(shape: tuple[int, ...], num_bits: int, x: Planes) -> float:
    """Return about how many instructions a Cortex-M4 takes for a window and weights `[O, K]`."""
    num_outputs, columns = shape
    count = 10 * num_words(columns, WIDTH) + 60
    return x.count * (columns + count + num_outputs * num_bits * count) + 50 * num_outputs
