"""Gaps in four bits: the nonzero codes, each with its distance to the one before.

    stream   uint8   of each row its S = ceil(K / 255) spans of 255 columns: a byte that says how
                     many pairs of entries the span has; of each pair a byte with both distances,
                     the first in its lower half, and the two codes

The distance of an entry is that of its column to the column of the entry before, and of the first
one to the first column of its span. One of more than 15 is split: entries of distance 15 with a
zero as their code stand before. An odd number of entries ends with one of distance 0 whose code is
zero. All these are computed as any other entry, so that the loop has no branch for them.

    for (k = 0; k < K; k += 255)
      for (p = x + k, n = *stream++; n > 0; n--, stream += 3) {
        p += stream[0] & 15, sum += (int8_t)stream[1] * *p;
        p += stream[0] >> 4, sum += (int8_t)stream[2] * *p;
      }
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

_SPAN = 255
_FARTHEST = 15


@dataclass(frozen=True, kw_only=True)
class _Entries:
    """Of all rows. counts: of each span. distances, codes: of each entry."""

    counts: NDArray[np.int64]
    distances: NDArray[np.uint8]
    codes: NDArray[np.int8]


@dataclass(frozen=True)
class Delta4(Encoding):
    """Three bytes for two nonzero codes, one for each span."""

    @property
    def name(self) -> str:
        return "delta4"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"stream": U8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return int(_sizes(_entries(codes).counts).sum())

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        entries = _entries(codes)
        sizes = _sizes(entries.counts)
        begins = np.cumsum(sizes) - sizes
        stream = np.zeros(sizes.sum(), U8)
        stream[begins] = (entries.counts + 1) // 2
        before = np.cumsum(entries.counts) - entries.counts
        number = np.arange(len(entries.codes)) - np.repeat(before, entries.counts)
        pairs = np.repeat(begins, entries.counts) + 1 + number // 2 * 3
        is_second = number % 2
        np.add.at(stream, pairs, entries.distances << (4 * is_second).astype(U8))
        stream[pairs + 1 + is_second] = entries.codes.view(U8)
        return {"stream": stream}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "stream", self._begins(arrays["stream"], shape)[-1]

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        stream, num_spans = arrays["stream"], _num_spans(shape[1])
        codes = np.zeros((shape[0], num_spans * _SPAN), S8)
        for number, begin in enumerate(self._begins(stream, shape)[:-1]):
            row, span = divmod(number, num_spans)
            at = np.arange(2 * int(stream[begin]))
            pairs, is_second = begin + 1 + at // 2 * 3, at % 2
            columns = np.cumsum(stream[pairs].astype(np.int64) >> (4 * is_second) & _FARTHEST)
            columns += span * _SPAN
            if (columns >= min((span + 1) * _SPAN, shape[1])).any():
                raise self._damaged("stream")
            np.add.at(codes[row], columns, stream[pairs + 1 + is_second].view(S8))
        return codes[:, : shape[1]].copy()

    def _begins(self, stream: NDArray[np.uint8], shape: tuple[int, int]) -> list[int]:
        """Return where each span begins, and where the last one ends."""
        begins = [0]
        for _ in range(shape[0] * _num_spans(shape[1])):
            if begins[-1] >= len(stream):
                raise self._damaged("stream")
            begins.append(begins[-1] + 1 + 3 * int(stream[begins[-1]]))
        return begins


def _num_spans(num_columns: int) -> int:
    return -(-num_columns // _SPAN)


def _sizes(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes of spans with so many entries."""
    return 1 + (counts + 1) // 2 * 3


def _entries(codes: NDArray[np.int8]) -> _Entries:
    rows, columns = np.nonzero(codes)
    num_spans = len(codes) * _num_spans(codes.shape[1])
    spans, places = rows * _num_spans(codes.shape[1]) + columns // _SPAN, columns % _SPAN
    is_first = np.diff(spans, prepend=-1) != 0
    distances = np.where(is_first, places, np.diff(places, prepend=0))
    num_more = ((distances - 1) // _FARTHEST).clip(0)
    ends = np.cumsum(num_more + 1) - 1
    all_distances = np.full(len(rows) + num_more.sum(), _FARTHEST, U8)
    all_distances[ends] = distances - _FARTHEST * num_more
    all_codes = np.zeros(len(all_distances), S8)
    all_codes[ends] = codes[rows, columns]
    counts = np.bincount(spans, weights=num_more + 1, minlength=num_spans).astype(np.int64)
    return _Entries(counts=counts, distances=all_distances, codes=all_codes)
