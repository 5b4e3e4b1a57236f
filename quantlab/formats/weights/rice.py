"""Rice codes: of each nonzero code its gap, and its place among the values that the layer has.

    stream   uint8   V - 1, a, b, c: a byte each; the layer's V values, int8; bits; three zero bytes

The values are those of the nonzero codes, the most frequent first. A number n in a Rice code of a
bits is n >> a zeros, a one and the a lowest bits of n. Of each row there is the number of its
entries, in c bits, and of each entry two Rice codes: the zeros since the entry before it, or since
the first column, with a bits, and the place of its value, with b bits. Bits are the highest of a
byte first. Rows 0, 16, 32, ... begin with a byte; unused bits are 0.

No entry has more than 25 bits, so that four bytes hold a whole one, wherever it begins: an entry
whose value is zero, the last of the values then, cuts a gap that is too long. All these are
computed as any other entry.

    for (p = x, n = bits(c); n > 0; n--, p++) {
      p += rice(a);
      sum += values[rice(b)] * *p;
    }

Gaps between zeros at random are nearly as short as their entropy so: Golomb, "Run-length
encodings", 1966; Rice and Plaunt, "Adaptive variable-length coding", 1971.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

ROWS = 16
"""How many rows, the first of which begins with a byte, follow one another bit by bit."""

_ENTRY_BITS = 25
_HEADER = 4
_TAIL = 3
_GAP_BITS, _VALUE_BITS = np.arange(16), np.arange(9)


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """Of all rows. values: V of them. gap_bits, value_bits, size_bits: a, b, c. counts: of each
    row. rows, gaps, ranks: of each entry, ranks among the values."""

    values: NDArray[np.int8]
    gap_bits: int
    value_bits: int
    size_bits: int
    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    gaps: NDArray[np.int64]
    ranks: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of each entry, in bits."""
        gaps, ranks = _length(self.gaps, self.gap_bits), _length(self.ranks, self.value_bits)
        found: NDArray[np.int64] = gaps + ranks
        return found

    @property
    def row_bits(self) -> NDArray[np.int64]:
        """Of each row, `[rows / 16, 16]`; rows that are not there have none."""
        num_rows = len(self.counts)
        bits = np.zeros(-(-num_rows // ROWS) * ROWS, np.int64)
        bits[:num_rows] = np.bincount(self.rows, weights=self.lengths, minlength=num_rows)
        bits[:num_rows] += self.size_bits
        by_block: NDArray[np.int64] = bits.reshape(-1, ROWS)
        return by_block


@dataclass(frozen=True)
class Rice(Encoding):
    """Nearly as few bits as the entropy of gaps and values."""

    @property
    def name(self) -> str:
        return "rice"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"stream": U8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        entries = _entries(codes)
        in_bytes = -(-entries.row_bits.sum(1) // 8)
        return _HEADER + len(entries.values) + int(in_bytes.sum()) + _TAIL

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        found = _entries(codes)
        header = [len(found.values) - 1, found.gap_bits, found.value_bits, found.size_bits]
        parts = [np.array(header, U8), found.values.view(U8), _packed(found), np.zeros(_TAIL, U8)]
        return {"stream": np.concatenate(parts)}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "stream", self._read(arrays, shape)[1]

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        return self._read(arrays, shape)[0]

    def _read(self, arrays: Arrays, shape: tuple[int, int]) -> tuple[NDArray[np.int8], int]:
        """Return the codes, and the length of the stream."""
        stream = arrays["stream"].astype(U8)
        codes = np.zeros(shape, S8)
        try:
            last, *num_bits = stream[:_HEADER].tolist()
            begin = _HEADER + last + 1
            values = stream[_HEADER:begin].view(S8)
            bits = _Bits(stream[begin:])
            for number, row in enumerate(codes):
                if number % ROWS == 0:
                    bits.end_byte()
                _read_row(bits, values, num_bits, row)
        except (ValueError, IndexError) as error:
            raise self._damaged("stream") from error
        bits.end_byte()
        return codes, begin + bits.at // 8 + _TAIL


class _Bits:
    """Bits that are read one after the other; reading beyond them is a ValueError."""

    def __init__(self, stream: NDArray[np.uint8]) -> None:
        self._text = (np.unpackbits(stream) + ord("0")).tobytes()
        self.at = 0

    def number(self, num_bits: int) -> int:
        """Return a number of so many bits."""
        self.at += num_bits
        text = self._text[self.at - num_bits : self.at]
        if len(text) < num_bits:
            raise ValueError("no such bits")
        return int(text or b"0", 2)

    def rice(self, num_bits: int) -> int:
        """Return a number in a Rice code."""
        zeros = self._text.index(b"1", self.at) - self.at
        self.at += zeros + 1
        return (zeros << num_bits) + self.number(num_bits)

    def end_byte(self) -> None:
        """Leave out the bits up to the next byte."""
        self.at = -(-self.at // 8) * 8


def _read_row(
    bits: _Bits, values: NDArray[np.int8], num_bits: list[int], row: NDArray[np.int8]
) -> None:
    gap_bits, value_bits, size_bits = num_bits
    at = -1
    for _ in range(bits.number(size_bits)):
        at += 1 + bits.rice(gap_bits)
        row[at] = values[bits.rice(value_bits)]


def _length(numbers: NDArray[Any], num_bits: int | NDArray[Any]) -> NDArray[Any]:
    """Return the bits of Rice codes."""
    found: NDArray[Any] = (numbers >> num_bits) + 1 + num_bits
    return found


def _entries(codes: NDArray[np.int8]) -> _Entries:
    columns = codes.shape[1]
    at = np.flatnonzero(codes)
    rows = at // columns
    is_first = np.diff(rows, prepend=-1) != 0
    gaps = np.where(is_first, at - rows * columns, np.diff(at, prepend=0) - 1)
    values, ranks, value_bits = _ranked(codes.reshape(-1)[at])
    gap_bits, farthest, splits = _gap_bits(gaps, int(_length(np.array(len(values)), value_bits)))
    if splits.any() or not len(values):
        values = np.append(values, S8.type(0))
    ends = np.cumsum(splits + 1) - 1
    all_gaps = np.full(len(at) + splits.sum(), farthest - 1)
    all_gaps[ends] = gaps - splits * farthest
    all_ranks = np.full(len(all_gaps), len(values) - 1)
    all_ranks[ends] = ranks
    all_rows = np.repeat(rows, splits + 1)
    counts = np.bincount(all_rows, minlength=len(codes))
    return _Entries(
        values=values,
        gap_bits=gap_bits,
        value_bits=value_bits,
        size_bits=max(int(counts.max()).bit_length(), 1),
        counts=counts,
        rows=all_rows,
        gaps=all_gaps,
        ranks=all_ranks,
    )


def _ranked(codes: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64], int]:
    """Return the values of nonzero codes, the most frequent first, of each code its place among
    them, and the bits of Rice codes that make these the fewest."""
    frequencies = np.bincount(codes.view(U8), minlength=256)
    order = np.argsort(-frequencies, kind="stable")
    num_values = np.count_nonzero(frequencies)
    places = np.empty(256, np.int64)
    places[order] = np.arange(256)
    bits = _length(np.arange(num_values), _VALUE_BITS[:, None]) @ frequencies[order[:num_values]]
    is_short = _length(np.array(num_values), _VALUE_BITS) < _ENTRY_BITS
    value_bits = int(np.where(is_short, bits, np.iinfo(np.int64).max).argmin())
    return order[:num_values].astype(U8).view(S8), places[codes.view(U8)], value_bits


def _gap_bits(gaps: NDArray[np.int64], most: int) -> tuple[int, int, NDArray[np.int64]]:
    """Return the bits of Rice codes that make gaps the fewest, the first gap that is too long for
    an entry, and how often it is cut from each.

    most: bits of the value of an entry.
    """
    gap_bits = _GAP_BITS[_ENTRY_BITS - most > _GAP_BITS, None]
    zeros = _ENTRY_BITS - most - 1 - gap_bits
    farthest = (zeros + 1) << gap_bits
    frequencies = np.bincount(gaps)
    lengths = np.arange(len(frequencies))
    splits = lengths // farthest
    bits = _length(lengths - splits * farthest, gap_bits) + splits * _ENTRY_BITS
    best = int((bits @ frequencies).argmin())
    first = int(farthest[best, 0])
    return int(gap_bits[best, 0]), first, gaps // first


def _packed(entries: _Entries) -> NDArray[np.uint8]:
    """Return the bits of all rows, in bytes."""
    row_bits, lengths = entries.row_bits, entries.lengths
    in_bytes = -(-row_bits.sum(1) // 8)
    begins = 8 * (np.cumsum(in_bytes) - in_bytes)[:, None] + np.cumsum(row_bits, 1) - row_bits
    sizes_end = begins.reshape(-1)[: len(entries.counts)] + entries.size_bits
    num_before = np.cumsum(entries.counts) - entries.counts
    ends = np.cumsum(lengths)
    before = np.concatenate([[0], ends])[num_before]
    ends += (sizes_end - before)[entries.rows]
    bits = np.zeros(8 * in_bytes.sum(), np.uint8)
    _write(bits, sizes_end, entries.counts, entries.size_bits)
    rank_lengths = _length(entries.ranks, entries.value_bits)
    for numbers, num_bits, end in (
        (entries.gaps, entries.gap_bits, ends - rank_lengths),
        (entries.ranks, entries.value_bits, ends),
    ):
        low = numbers & ((1 << num_bits) - 1)
        _write(bits, end, low + (1 << num_bits), num_bits + 1)
    return np.packbits(bits)


def _write(
    bits: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.int64], num_bits: int
) -> None:
    """Write numbers so that their lowest bits are before `ends`."""
    for bit in range(num_bits):
        bits[ends - 1 - bit] = numbers >> bit & 1
