"""The loops of the encodings' documents, element by element: what a kernel in C reads.

A reader takes the arrays as iterators and returns the weight with which each input is multiplied in
each row. It reads every array to its end, and no input that a row does not have.
"""

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.bits import Bits
from quantlab.formats.weights.blocks import Blocks
from quantlab.formats.weights.csr8 import Csr8
from quantlab.formats.weights.encoding import Encoded, Encoding
from quantlab.formats.weights.pattern import Pattern
from quantlab.formats.weights.rice import Rice

Streams = Mapping[str, Iterator[int]]
Row = list[int]


def read(encoding: Encoding, encoded: Encoded, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the weights `[O, K]` that the documented loop multiplies inputs by."""
    streams = {name: iter(array.tolist()) for name, array in encoded.arrays.items()}
    rows = [[0] * shape[1] for _ in range(shape[0])]
    reader = _reader(encoding)
    for row in rows:
        reader(streams, row)
    if encoding == Rice():
        assert [next(streams["stream"]) for _ in range(3)] == [0, 0, 0]
    assert all(next(stream, None) is None for stream in streams.values())
    return np.array(rows)


def _reader(encoding: Encoding) -> Callable[[Streams, Row], None]:
    if isinstance(encoding, Bits):
        return lambda streams, row: _bits(streams, row, encoding.num_bits)
    if isinstance(encoding, Blocks):
        return lambda streams, row: _blocks(streams, row, encoding.size)
    if isinstance(encoding, Csr8):
        return lambda streams, row: _csr8(streams, row, encoding.size)
    if isinstance(encoding, Pattern):
        return lambda streams, row: _pattern(streams, row, encoding.n, encoding.m)
    if isinstance(encoding, Rice):
        return _Rice().read
    readers = {
        "dense": _dense,
        "csr": _csr,
        "delta4": _delta4,
        "bitmap": _bitmap,
        "nibbles": _nibbles,
    }
    return readers[encoding.name]


def _dense(streams: Streams, row: Row) -> None:
    for k in range(len(row)):
        row[k] += next(streams["values"])


def _bits(streams: Streams, row: Row, b: int) -> None:
    half = 1 << b - 1
    word = left = 0
    for k in range(len(row)):
        if left < b:
            word |= next(streams["bits"]) << left
            left += 8
        u = word & ((1 << b) - 1)
        word >>= b
        left -= b
        row[k] += 2 * u - 1 if b == 1 else (u ^ half) - half
    assert word == 0


def _csr(streams: Streams, row: Row) -> None:
    for _ in range(next(streams["sizes"])):
        row[next(streams["columns"])] += next(streams["values"])


def _csr8(streams: Streams, row: Row, size: int) -> None:
    rest = len(row) % size
    for k in range(0, len(row) - rest, 255 * size):
        for _ in range(next(streams["stream"])):
            p = k + size * next(streams["stream"])
            for b in range(size):
                row[p + b] += _signed(next(streams["stream"]))
    for k in range(len(row) - rest, len(row)):
        row[k] += _signed(next(streams["stream"]))


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _delta4(streams: Streams, row: Row) -> None:
    for k in range(0, len(row), 255):
        p = k
        for _ in range(next(streams["stream"])):
            distances = next(streams["stream"])
            for distance in (distances & 15, distances >> 4):
                p += distance
                row[p] += _signed(next(streams["stream"]))


def _bitmap(streams: Streams, row: Row) -> None:
    for k in range(0, len(row), 8):
        bits = next(streams["bitmap"])
        for b in range(8):
            if bits >> b & 1:
                row[k + b] += next(streams["values"])


def _nibbles(streams: Streams, row: Row) -> None:
    p = 0
    while (b := _signed(next(streams["stream"]))) != 0:
        if b >> 4 == 0:
            p += 16 * b
        else:
            p += b & 15
            row[p] += b >> 4
            p += 1


def _blocks(streams: Streams, row: Row, size: int) -> None:
    p = 0
    for _ in range(next(streams["sizes"])):
        p += size * next(streams["gaps"])
        for _ in range(size):
            row[p] += next(streams["values"])
            p += 1
    for k in range(len(row) - len(row) % size, len(row)):
        row[k] += next(streams["values"])


def _pattern(streams: Streams, row: Row, n: int, m: int) -> None:
    width = {2: 1, 4: 2, 8: 4, 16: 4}[m]
    slots = -(-len(row) // m) * n
    places = [next(streams["places"]) for _ in range(-(-slots * width // 8))]
    for i in range(slots):
        place = places[i * width // 8] >> i * width % 8 & ((1 << width) - 1)
        row[i // n * m + place] += next(streams["values"])


class _Rice:
    """Rows follow one another bit by bit. word: the bits of the last byte that are left, behind a
    one."""

    def __init__(self) -> None:
        self.number, self.word = 0, 1
        self.values: list[int] = []
        self.num_bits: list[int] = []

    def read(self, streams: Streams, row: Row) -> None:
        stream = streams["stream"]
        if self.number == 0:
            num_values = next(stream) + 1
            self.num_bits = [next(stream) for _ in range(3)]
            self.values = [_signed(next(stream)) for _ in range(num_values)]
        if self.number % 16 == 0:
            self.word = 1
        self.number += 1
        p = 0
        gap_bits, value_bits, size_bits = self.num_bits
        for _ in range(self._bits(stream, size_bits)):
            p += self._code(stream, gap_bits)
            row[p] += self.values[self._code(stream, value_bits)]
            p += 1

    def _bits(self, stream: Iterator[int], count: int) -> int:
        found = 0
        for _ in range(count):
            if self.word == 1:
                self.word = 1 << 8 | int(f"{next(stream):08b}"[::-1], 2)
            found = found << 1 | self.word & 1
            self.word >>= 1
        return found

    def _code(self, stream: Iterator[int], num_bits: int) -> int:
        zeros = 0
        while self._bits(stream, 1) == 0:
            zeros += 1
        return (zeros << num_bits) + self._bits(stream, num_bits)


def size_of(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return the bytes of arrays, by their types alone."""
    return sum(prod(array.shape) * array.dtype.itemsize for array in arrays.values())
