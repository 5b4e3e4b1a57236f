"""The IDX format of MNIST: two zero bytes, a type code, the number of dimensions, their sizes as
big-endian 32-bit integers, then the elements. Here: unsigned bytes only (type code 8).
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import DataError

_UINT8 = 8


def parse_idx(raw: bytes, name: Path | str, *, num_dims: int) -> NDArray[np.uint8]:
    """Return the array of an IDX file. Raises DataError for anything but exactly one such array."""
    header_size = 4 + 4 * num_dims
    if len(raw) < header_size:
        raise DataError(f"{name}: truncated: {len(raw)} bytes; the IDX header has {header_size}")
    if raw[:4] != bytes((0, 0, _UINT8, num_dims)):
        raise DataError(
            f"{name}: magic number 0x{raw[:4].hex()}; expected 0x{_UINT8 << 8 | num_dims:08x} "
            f"(IDX, unsigned bytes, {num_dims} dimensions)"
        )
    shape = struct.unpack(f">{num_dims}I", raw[4:header_size])
    size = header_size + math.prod(shape)
    if len(raw) != size:
        raise DataError(f"{name}: {len(raw)} bytes; its header says {size} (shape {list(shape)})")
    return np.frombuffer(raw, np.uint8, offset=header_size).reshape(shape)


def format_idx(array: NDArray[np.uint8]) -> bytes:
    """Return the bytes of an IDX file that holds `array`."""
    header = bytes((0, 0, _UINT8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()
