"""Integer codes of 1 to 8 bits in about as many bytes as their entropy takes.

    1 to 5 bytes   4 n + w in groups of 7 bits, the lowest first, each but the last with 128 added
    n bytes        the codes, w: 0 packed, 1 by a model of all codes, 2 by a mixture of models

Symbols are codes in the order 0, -1, 1, -2, 2, ..., so that those of one size are neighbors. The
coder is `backend_cpp/src/entropy.cpp`; of the three ways the shortest is taken. One row is no
context for another, so a matrix is coded in the shape that means most.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.numerics.packing import pack_codes, unpack_codes

_PACKED, _ONE_MODEL, _MIXED = range(3)
_MOST_HEAD = 5  # bytes


def encode_codes(codes: NDArray[Any], num_bits: int) -> bytes:
    """Return the bytes of signed codes of any shape, the first axis that of the rows.

    Codes of `num_bits` bits are -2^(b-1) to 2^(b-1) - 1. Raises UsageError for others.
    """
    return encode_symbols(_symbols_of(codes, num_bits).reshape(_rows(codes.shape)), num_bits)


def decode_codes(data: bytes, shape: tuple[int, ...], num_bits: int) -> NDArray[np.int8]:
    """Return the codes of bytes, the inverse of `encode_codes`. Raises UsageError for others."""
    symbols = decode_symbols(data, _rows(shape), num_bits)
    return ((symbols >> 1) ^ -(symbols & 1)).view(np.int8).reshape(shape)


def encode_symbols(symbols_RC: NDArray[np.uint8], num_bits: int) -> bytes:
    """Return the bytes of numbers 0 to 2^num_bits - 1. Raises UsageError for others."""
    from quantlab import backend

    ways = [
        pack_codes(symbols_RC, num_bits, signed=False).tobytes(),
        backend.entropy_encode(symbols_RC, num_bits, is_mixed=False),
        backend.entropy_encode(symbols_RC, num_bits, is_mixed=True),
    ]
    way = min(range(len(ways)), key=lambda i: len(ways[i]))
    return _varint(4 * len(ways[way]) + way) + ways[way]


def decode_symbols(data: bytes, shape: tuple[int, int], num_bits: int) -> NDArray[np.uint8]:
    """Return the numbers `[R, C]` of bytes, the inverse of `encode_symbols`. Raises UsageError."""
    from quantlab import backend

    head, begin = _read_varint(data)
    length, way = divmod(head, 4)
    coded = np.frombuffer(data, np.uint8)[begin:]
    if len(coded) != length or way > _MIXED:
        raise UsageError(
            f"codes: {len(coded)} bytes of way {way} given, {length} of way 0 to {_MIXED} allowed"
        )
    rows, columns = shape
    if way == _PACKED:
        return (
            unpack_codes(coded, prod(shape), num_bits, signed=False).view(np.uint8).reshape(shape)
        )
    return backend.entropy_decode(
        coded, num_bits, num_rows=rows, num_columns=columns, is_mixed=way == _MIXED
    )


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


def _read_varint(data: bytes) -> tuple[int, int]:
    """Return a number and where it ends. Raises UsageError."""
    number = 0
    for place, byte in enumerate(data[:_MOST_HEAD]):
        number += (byte % 128) << 7 * place
        if byte < 128:
            return number, place + 1
    raise UsageError("codes: bytes without a length given, those of encoding allowed")


def _symbols_of(codes: NDArray[Any], num_bits: int) -> NDArray[np.uint8]:
    half = 1 << num_bits - 1
    if codes.size and not -half <= codes.min() <= codes.max() < half:
        raise UsageError(
            f"codes: {codes.min()} to {codes.max()} given, {-half} to {half - 1} allowed for "
            f"num_bits={num_bits}"
        )
    small = codes.astype(np.int8)
    symbols: NDArray[np.uint8] = ((small << 1) ^ (small >> 7)).view(np.uint8)
    return symbols


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))
