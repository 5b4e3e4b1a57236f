"""The one file format of QuantLab: named tensors, what they mean, and a hash over all of it.

    8 bytes    magic, b"QUANTLAB"
    4          version, little-endian, as all numbers here
    4          length of the header
    ...        the header: JSON in UTF-8, with keys in order
    ...        the tensors, each from an offset that is a multiple of 64, zeros between
    32         SHA-256 of all bytes before

The header says what kind of file it is, has what its writer had to say (`meta`), and of each tensor
its type, shape, offset, length and SHA-256. Integers of few bits are packed: see
`quantlab.numerics.packing`; 1 bit stands for -1 and 1. The same contents give the same bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, VerificationError
from quantlab.numerics.packing import pack_codes, unpack_codes

MAGIC, VERSION, ALIGNMENT = b"QUANTLAB", 1, 64
_FIXED = len(MAGIC) + 8
_HASH = hashlib.sha256().digest_size
_DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64")


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
    """What is in a file. hashes: the SHA-256 of each tensor's bytes; sizes: how many they are."""

    meta: Any
    tensors: Mapping[str, NDArray[Any]]
    hashes: Mapping[str, str]
    sizes: Mapping[str, int]
    header_bytes: int


def pack(kind: str, meta: Any, tensors: Mapping[str, Stored]) -> bytes:
    """Return a container. kind: of the file. meta: plain data for JSON."""
    blobs = {name: stored.encode() for name, stored in tensors.items()}
    entries: dict[str, Any] = {}
    header = {"kind": kind, "meta": meta, "tensors": entries}
    offset = 0
    for name, stored in tensors.items():
        dtype = stored.values.dtype.name
        if dtype not in _DTYPES:
            raise UsageError(f"container: tensor '{name}' of {dtype}, {', '.join(_DTYPES)} allowed")
        entries[name] = {
            "dtype": dtype,
            "shape": list(stored.values.shape),
            "num_bits": stored.num_bits,
            "offset": offset,
            "nbytes": len(blobs[name]),
            "sha256": hashlib.sha256(blobs[name]).hexdigest(),
        }
        offset = _aligned(offset + len(blobs[name]))
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    start = MAGIC + VERSION.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    data = bytearray(start.ljust(_aligned(len(start)), b"\0"))
    base = len(data)
    for name, blob in blobs.items():
        data.extend(b"\0" * (base + entries[name]["offset"] - len(data)))
        data.extend(blob)
    return bytes(data) + hashlib.sha256(data).digest()


def unpack(data: bytes, kind: str, source: str) -> Contents:
    """Return what is in a container. source: its name, for errors.

    Raises VerificationError if a byte is not as it was written, with the tensor where it is one's;
    UsageError for a file of another kind.
    """
    if not data.startswith(MAGIC):
        raise VerificationError(f"{source}: not a file of QuantLab, or its first bytes are damaged")
    body, digest = data[:-_HASH], data[-_HASH:]
    is_whole = hashlib.sha256(body).digest() == digest
    try:
        header, base = _header(body)
        entries = header["tensors"]
        blobs = {name: body[base + e["offset"] :][: e["nbytes"]] for name, e in entries.items()}
        hashes = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
        damaged = [name for name in entries if hashes[name] != entries[name]["sha256"]]
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{source}: its header is damaged or cut off") from error
    if damaged:
        name = damaged[0]
        raise VerificationError(
            f"{source}: tensor '{name}' is damaged: its SHA-256 is {hashes[name][:16]}..., "
            f"{entries[name]['sha256'][:16]}... was written"
        )
    if not is_whole:
        raise VerificationError(f"{source}: damaged outside its tensors, or cut off")
    version = int.from_bytes(body[len(MAGIC) :][:4], "little")
    if version != VERSION:
        raise UsageError(f"{source}: version {version} given, {VERSION} allowed")
    if header["kind"] != kind:
        raise UsageError(f"{source}: a {header['kind']} given, a {kind} allowed")
    return Contents(
        meta=header["meta"],
        tensors={name: _decode(blobs[name], entry) for name, entry in entries.items()},
        hashes=hashes,
        sizes={name: len(blob) for name, blob in blobs.items()},
        header_bytes=len(data) - sum(map(len, blobs.values())),
    )


def _header(body: bytes) -> tuple[dict[str, Any], int]:
    """Return the header and where the tensors begin."""
    length = int.from_bytes(body[_FIXED - 4 : _FIXED], "little")
    header = json.loads(body[_FIXED : _FIXED + length].decode())
    return header, _aligned(_FIXED + length)


def _decode(blob: bytes, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype, shape, num_bits = np.dtype(entry["dtype"]), tuple(entry["shape"]), entry["num_bits"]
    if num_bits is None:
        return np.frombuffer(blob, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    raw, count = np.frombuffer(blob, np.uint8), math.prod(shape)
    if num_bits > 1:
        return unpack_codes(raw, count, num_bits, signed=True).astype(dtype).reshape(shape)
    bits = unpack_codes(raw, count, 1, signed=False).astype(dtype)
    return (2 * bits - 1).astype(dtype).reshape(shape)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
