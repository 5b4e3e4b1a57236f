"""Version 2 of the container, for files of many small tensors: some bytes a tensor, no gaps.

    8 bytes    magic, b"QUANTLAB"
    4          version, 2; little-endian, as all numbers here
    4          length of the header
    ...        the header: JSON in UTF-8, compressed by bzip2
    4 each     the first bytes of the SHA-256 of each tensor's bytes
    ...        the tensors, one after the other
    32         SHA-256 of all bytes before

The header is a list: the kind of file, `meta`, and the names, types, shapes, packings and lengths
of all tensors. The same contents give the same bytes. A tensor's packing is one of

    plain      its type as it is
    s4         signed integers of 4 bits, as of `quantlab.numerics.packing`; s1: -1 and 1
    o4         odd integers c of 4 bits, -15 to 15: (c - 1) / 2 as of s4; o1: as s1
    q8         floats of 32 bits: a step of 32 bits, then as s8 the integers whose products they are
    c:s4 c:o4  the same, entropy-coded: see `quantlab.numerics.entropy`
    c:plain    each byte of all elements after the other, entropy-coded
"""

import bz2
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, VerificationError
from quantlab.formats.steps import steps_of
from quantlab.formats.stored import DTYPES, MAGIC, Contents, Stored, decode
from quantlab.numerics.entropy import decode_codes, decode_symbols, encode_codes, encode_symbols

VERSION = 2
_FIXED = len(MAGIC) + 8
_CHECK, _HASH = 4, hashlib.sha256().digest_size
_MOST_HEADER = 1 << 26  # bytes, so that a small file cannot ask for all memory
_MOST_BITS = 8
_LEAST_STEPPED = 4  # floats, for which a step and integers take less


@dataclass(frozen=True, kw_only=True, eq=False)
class Compact:
    """A tensor to store.

    num_bits: of integers to pack; None stores the type as it is. is_odd: the integers are odd.
    is_coded: entropy-coded, where that is smaller.
    """

    values: NDArray[Any]
    num_bits: int | None = None
    is_odd: bool = False
    is_coded: bool = False

    def encode(self) -> tuple[str, bytes]:
        """Return the packing and the bytes. Raises UsageError for what does not fit."""
        steps = None if self.num_bits or self.values.dtype != np.float32 else steps_of(self.values)
        if steps is not None and self.values.size > _LEAST_STEPPED:
            step, codes = steps
            stepped = Compact(values=codes, num_bits=8, is_coded=self.is_coded)
            packing, blob = stepped.encode()
            return packing.replace("s8", "q8"), step.astype("<f4").tobytes() + blob
        packing = "plain" if self.num_bits is None else f"{'so'[self.is_odd]}{self.num_bits}"
        is_sign = packing == "o1"
        codes = _halved(self.values) if self.is_odd else self.values
        plain = Stored(values=self.values if is_sign else codes, num_bits=self.num_bits).encode()
        if self.is_coded:
            coded = _encode(codes, self.num_bits)
            if len(coded) < len(plain):
                return f"c:{packing}", coded
        return packing, plain


def pack(kind: str, meta: Any, tensors: Mapping[str, Compact]) -> bytes:
    """Return a container. kind: of the file. meta: plain data for JSON."""
    names, dtypes, shapes = list(tensors), [], []
    for name, tensor in tensors.items():
        dtypes.append(tensor.values.dtype.name)
        shapes.append(list(tensor.values.shape))
        if dtypes[-1] not in DTYPES:
            allowed = ", ".join(DTYPES)
            raise UsageError(f"container: tensor '{name}' of {dtypes[-1]}, {allowed} allowed")
    encoded = [tensor.encode() for tensor in tensors.values()]
    packings, lengths = [packing for packing, _ in encoded], [len(blob) for _, blob in encoded]
    plain = [kind, meta, names, dtypes, shapes, packings, lengths]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    header = bz2.compress(text.encode())
    fixed = MAGIC + VERSION.to_bytes(4, "little") + len(header).to_bytes(4, "little")
    checks = b"".join(_check(blob) for _, blob in encoded)
    data = fixed + header + checks + b"".join(blob for _, blob in encoded)
    return data + hashlib.sha256(data).digest()


def unpack(data: bytes, kind: str, source: str) -> Contents:
    """Return what is in a container. Errors as of `container.unpack`."""
    body, digest = data[:-_HASH], data[-_HASH:]
    is_whole = hashlib.sha256(body).digest() == digest
    try:
        end = _FIXED + int.from_bytes(body[_FIXED - 4 : _FIXED], "little")
        found_kind, meta, names, dtypes, shapes, packings, lengths = _header(body[_FIXED:end])
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name that is no text")
        base = end + _CHECK * len(names)
        blobs = dict(zip(names, _split(body, base, lengths), strict=True))
    except (ValueError, TypeError, OSError, EOFError, RecursionError) as error:
        raise VerificationError(f"{source}: its header is damaged or cut off") from error
    if base + sum(lengths) > len(body):
        whole = base + sum(lengths) + _HASH
        raise VerificationError(f"{source}: cut off: {len(data)} of {whole} bytes are there")
    for place, (name, blob) in enumerate(blobs.items()):
        if _check(blob) != body[end + _CHECK * place :][:_CHECK]:
            raise VerificationError(f"{source}: tensor '{name}' is damaged: its SHA-256 is another")
    if not is_whole:
        raise VerificationError(f"{source}: damaged outside its tensors, or cut off")
    if found_kind != kind:
        raise UsageError(f"{source}: a {found_kind} given, a {kind} allowed")
    tensors = {}
    for name, *rest in zip(names, dtypes, shapes, packings, strict=True):
        try:
            tensors[name] = _tensor(blobs[name], *rest)
        except (
            ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError
        ) as error:  # fmt: skip
            raise VerificationError(f"{source}: tensor '{name}' cannot be read: {error}") from error
    return Contents(
        meta=meta,
        tensors=tensors,
        hashes={name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()},
        sizes={name: len(blob) for name, blob in blobs.items()},
        header_bytes=len(data) - sum(lengths),
    )


def _header(compressed: bytes) -> list[Any]:
    unpacker = bz2.BZ2Decompressor()
    text = unpacker.decompress(compressed, _MOST_HEADER)
    if not unpacker.eof:
        raise ValueError("incomplete")
    header: list[Any] = json.loads(text.decode())
    return header


def _split(body: bytes, base: int, lengths: Sequence[int]) -> list[bytes]:
    if any(length < 0 for length in lengths):
        raise ValueError("a negative length")
    ends = [base]
    for length in lengths:
        ends.append(ends[-1] + length)
    return [body[begin:end] for begin, end in pairwise(ends)]


def _tensor(blob: bytes, dtype: str, shape: Sequence[int], packing: str) -> NDArray[Any]:
    sizes, form = tuple(shape), packing.removeprefix("c:")
    read = _decode if packing.startswith("c:") else decode
    if dtype not in DTYPES or any(size < 0 for size in sizes):
        raise ValueError(f"{dtype} of {shape} as {packing}")
    if form == "q8":
        step = np.frombuffer(blob[:4], "<f4").astype(np.float32)
        products: NDArray[Any] = step[0] * read(blob[4:], "int8", sizes, 8)
        return products.astype(dtype)
    if form == "plain":
        return read(blob, dtype, sizes, None)
    num_bits = int(form[1:])
    if form[0] == "s" or packing == "o1":
        return read(blob, dtype, sizes, num_bits)
    if form[0] != "o":
        raise ValueError(f"packed as {packing}")
    return (2 * read(blob, "int8", sizes, num_bits).astype(dtype) + 1).astype(dtype)


def _halved(values: NDArray[Any]) -> NDArray[Any]:
    """Return (c - 1) / 2 of odd codes c. Raises UsageError for others."""
    if not np.issubdtype(values.dtype, np.signedinteger) or not np.all(values % 2 == 1):
        raise UsageError("container: codes that are not odd given as odd ones")
    return (values - 1) // 2


def _encode(values: NDArray[Any], num_bits: int | None) -> bytes:
    if num_bits is not None:
        return encode_codes(values, num_bits)
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    planes = little.reshape(-1).view(np.uint8).reshape(-1, little.dtype.itemsize).T
    return encode_symbols(np.ascontiguousarray(planes), _MOST_BITS)


def _decode(
    blob: bytes, dtype_name: str, shape: tuple[int, ...], num_bits: int | None
) -> NDArray[Any]:
    dtype = np.dtype(dtype_name)
    if num_bits is not None:
        return decode_codes(blob, shape, num_bits).astype(dtype)
    planes = decode_symbols(blob, (dtype.itemsize, prod(shape)), _MOST_BITS)
    little = np.ascontiguousarray(planes.T).view(dtype.newbyteorder("<"))
    return little.reshape(shape).astype(dtype)


def _check(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest()[:_CHECK]
