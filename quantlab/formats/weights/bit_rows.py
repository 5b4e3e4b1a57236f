"""Rows of unsigned integers of few bits.

Element k of b bits is bits [k * b, (k + 1) * b) of its row, and bit i of a row is bit i % 8 of its
byte i / 8, as in `quantlab.numerics.packing`. Each row begins with a byte; the bits behind its last
element are 0.
"""

import numpy as np
from numpy.typing import NDArray


def row_bytes(num_columns: int, num_bits: int) -> int:
    """Return the bytes of a row."""
    return -(-num_columns * num_bits // 8)


def pack_rows(elements_OK: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    """Return rows of elements below 2^num_bits as one flat array of bytes."""
    bits = np.unpackbits(elements_OK[..., None], axis=2, count=num_bits, bitorder="little")
    return np.packbits(bits.reshape(len(bits), -1), axis=1, bitorder="little").reshape(-1)


def unpack_rows(
    packed: NDArray[np.uint8], shape: tuple[int, int], num_bits: int
) -> NDArray[np.uint8]:
    """Return the elements `[O, K]` of a flat array of bytes. The inverse of `pack_rows`."""
    rows, columns = shape
    bits = np.unpackbits(
        packed.reshape(rows, -1), axis=1, count=columns * num_bits, bitorder="little"
    )
    elements = bits.reshape(rows, columns, num_bits)
    return np.packbits(elements, axis=2, bitorder="little")[..., 0]
