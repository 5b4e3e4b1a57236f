"""How many bytes objects take in flash."""

import struct
from collections.abc import Iterable
from pathlib import Path

_ALLOCATED = 2  # SHF_ALLOC
_NO_BITS = 8  # SHT_NOBITS


def flash_bytes(objects: Iterable[Path]) -> int:
    """Return the bytes of code, constants and initial values in ELF objects of 32 bits.

    Source: Tool Interface Standard, Executable and Linking Format, 1.2, figures 1-3 and 1-9.
    """
    return sum(_flash_bytes(path.read_bytes()) for path in objects)


def _flash_bytes(data: bytes) -> int:
    assert data[:6] == b"\x7fELF\x01\x01", "an ELF object of 32 bits, little-endian"
    (table,) = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<HH", data, 46)
    sections = [struct.unpack_from("<6I", data, table + i * size) for i in range(count)]
    return sum(
        length
        for _, kind, flags, _, _, length in sections
        if flags & _ALLOCATED and kind != _NO_BITS
    )
