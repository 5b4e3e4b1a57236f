"""Tensors as they stand in a container, and what is read from one."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.numerics.packing import pack_codes, unpack_codes

MAGIC = b"QUANTLAB"
DTYPES = (
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64", "float16"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A tensor to store. num_bits: of signed integers to pack; None stores the type as it is."""

    values: NDArray[Any]
    num_bits: int | None = None

    def encode(self) -> bytes:
        """Return the bytes that stand in the file. Raises UsageError for what does not fit."""
        if self.num_bits is None:
            return self.values.astype(self.values.dtype.newbyteorder("<")).tobytes()
        if self.num_bits > 1:
            return pack_codes(self.values, self.num_bits, signed=True).tobytes()
        if not np.all(np.abs(self.values) == 1):
            raise UsageError("container: 1 bit given for numbers other than -1 and 1")
        return pack_codes((self.values > 0).astype(np.uint8), 1, signed=False).tobytes()


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """What is in a file. hashes: the SHA-256 of each tensor's bytes; sizes: how many they are;
    header_bytes: all others."""

    meta: Any
    tensors: Mapping[str, NDArray[Any]]
    hashes: Mapping[str, str]
    sizes: Mapping[str, int]
    header_bytes: int


def decode(
    blob: bytes, dtype_name: str, shape: tuple[int, ...], num_bits: int | None
) -> NDArray[Any]:
    """Return the tensor of some bytes, the inverse of `Stored.encode`. Raises ValueError for as
    many bytes as it does not have."""
    dtype = np.dtype(dtype_name)
    if num_bits is None:
        return np.frombuffer(blob, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    raw, count = np.frombuffer(blob, np.uint8), prod(shape)
    if num_bits > 1:
        return unpack_codes(raw, count, num_bits, signed=True).astype(dtype).reshape(shape)
    bits = unpack_codes(raw, count, 1, signed=False).astype(dtype)
    return (2 * bits - 1).astype(dtype).reshape(shape)
