"""A byte for each nonzero code of four bits: its gap and its value.

    stream   uint8   of each row its entries, then the byte 0

An entry is a byte: its lower half says how many zeros are between it and the entry before, or the
first column, and its upper half is the code, -8 to 7. A byte whose upper half is 0 is no entry:
its lower half says how many more times 16 zeros are there, and 0 that the row ends. Of several in
a row, all but the last are 15.

    for (p = x; (b = (int8_t)*stream++) != 0;)
      if (b >> 4 == 0) p += 16 * b;
      else p += b & 15, sum += (b >> 4) * *p++;
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.bits import Bits
from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

_FARTHEST = 15


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """Of all rows. rows, gaps, values: of each entry. skips: bytes before it that are none."""

    rows: NDArray[np.int64]
    gaps: NDArray[np.int64]
    values: NDArray[np.int8]
    skips: NDArray[np.int64]


@dataclass(frozen=True)
class Nibbles(Encoding):
    """A byte for each nonzero code and row, and for each 240 zeros of a long gap."""

    @property
    def name(self) -> str:
        return "nibbles"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"stream": U8}

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        return Bits(4).obstacle(codes)

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        entries = _entries(codes)
        return len(codes) + len(entries.rows) + int(entries.skips.sum())

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        found = _entries(codes)
        sizes = found.skips + 1
        in_row = np.bincount(found.rows, weights=sizes, minlength=len(codes)).astype(np.int64)
        stream = np.full(len(codes) + sizes.sum(), _FARTHEST, U8)
        stream[np.cumsum(in_row + 1) - 1] = 0
        entries = np.cumsum(sizes) - 1 + found.rows
        stream[entries] = (found.gaps & 15) | (found.values.astype(np.int64) << 4 & 0xF0)
        rest = (found.gaps >> 4) % _FARTHEST
        stream[entries[rest > 0] - 1] = rest[rest > 0]
        return {"stream": stream}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        ends = np.flatnonzero(arrays["stream"] == 0)
        if len(ends) < shape[0]:
            raise self._damaged("stream")
        yield "stream", int(ends[shape[0] - 1]) + 1

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        stream = arrays["stream"]
        low, values = stream.astype(np.int64) & 15, stream.view(S8) >> 4
        is_entry = values != 0
        behind = np.cumsum(np.where(is_entry, low + 1, 16 * low))
        rows = np.cumsum(stream == 0)
        begins = np.concatenate([[0], behind[stream == 0]])
        at = behind[is_entry] - 1 - begins[rows[is_entry]]
        if (at >= shape[1]).any():
            raise self._damaged("stream")
        codes = np.zeros(shape, S8)
        codes[rows[is_entry], at] = values[is_entry]
        return codes


def _entries(codes: NDArray[np.int8]) -> _Entries:
    at = np.flatnonzero(codes)
    rows = at // codes.shape[1]
    is_first = np.diff(rows, prepend=-1) != 0
    gaps = np.where(is_first, at - rows * codes.shape[1], np.diff(at, prepend=0) - 1)
    skips = -(-(gaps >> 4) // _FARTHEST)
    return _Entries(rows=rows, gaps=gaps, values=codes.reshape(-1)[at], skips=skips)
