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

Files of many small tensors are of version 2, see `quantlab.formats.compact`: `unpack` reads both.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from quantlab.errors import UsageError, VerificationError
from quantlab.formats import compact
from quantlab.formats.stored import DTYPES, MAGIC, Contents, Stored, decode

__all__ = ["Contents", "Stored", "pack", "unpack"]

VERSION, ALIGNMENT = 1, 64
_FIXED = len(MAGIC) + 8
_HASH = hashlib.sha256().digest_size


def pack(kind: str, meta: Any, tensors: Mapping[str, Stored]) -> bytes:
    """Return a container. kind: of the file. meta: plain data for JSON."""
    blobs = {name: stored.encode() for name, stored in tensors.items()}
    entries: dict[str, Any] = {}
    header = {"kind": kind, "meta": meta, "tensors": entries}
    offset = 0
    for name, stored in tensors.items():
        dtype = stored.values.dtype.name
        if dtype not in DTYPES:
            raise UsageError(f"container: tensor '{name}' of {dtype}, {', '.join(DTYPES)} allowed")
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
    version = int.from_bytes(data[len(MAGIC) :][:4], "little")
    if version == compact.VERSION:
        return compact.unpack(data, kind, source)
    body, digest = data[:-_HASH], data[-_HASH:]
    is_whole = hashlib.sha256(body).digest() == digest
    if is_whole and version != VERSION:
        raise UsageError(f"{source}: version {version} given, 1 to {compact.VERSION} allowed")
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
    if header["kind"] != kind:
        raise UsageError(f"{source}: a {header['kind']} given, a {kind} allowed")
    return Contents(
        meta=header["meta"],
        tensors={
            name: decode(blobs[name], e["dtype"], tuple(e["shape"]), e["num_bits"])
            for name, e in entries.items()
        },
        hashes=hashes,
        sizes={name: len(blob) for name, blob in blobs.items()},
        header_bytes=len(data) - sum(map(len, blobs.values())),
    )


def _header(body: bytes) -> tuple[dict[str, Any], int]:
    """Return the header and where the tensors begin."""
    length = int.from_bytes(body[_FIXED - 4 : _FIXED], "little")
    header = json.loads(body[_FIXED : _FIXED + length].decode())
    return header, _aligned(_FIXED + length)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
