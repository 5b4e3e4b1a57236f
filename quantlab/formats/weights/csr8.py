"""Compressed sparse rows in bytes: the nonzero codes, each with its column within a span.

    stream   uint8 [O * S + 2 * N]   of each row its S = ceil(K / 255) spans of 255 columns: a byte
                                     that says how many codes of the span are nonzero; of each its
                                     column in the span, and the code

Columns ascend in each span; the last span of a row may have fewer. A span of zeros is the byte 0,
so that no gap needs an entry of its own, and a row has no size.

    for (k = 0; k < K; k += 255, x += 255)
      for (n = *stream++; n > 0; n--, stream += 2) sum += (int8_t)stream[1] * x[stream[0]];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

_SPAN = 255


@dataclass(frozen=True)
class Csr8(Encoding):
    """Two bytes for each nonzero code, one for each span."""

    @property
    def name(self) -> str:
        return "csr8"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"stream": U8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return len(codes) * _num_spans(codes.shape[1]) + 2 * int(np.count_nonzero(codes))

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        rows, columns = np.nonzero(codes)
        spans = rows * _num_spans(codes.shape[1]) + columns // _SPAN
        counts = np.bincount(spans, minlength=len(codes) * _num_spans(codes.shape[1]))
        stream = np.zeros(len(counts) + 2 * len(rows), U8)
        # Before an entry lie those before it, and the counts of its span and those before.
        entries = 2 * np.arange(len(rows)) + spans + 1
        stream[entries] = columns % _SPAN
        stream[entries + 1] = codes[rows, columns].view(U8)
        stream[np.arange(len(counts)) + 2 * (np.cumsum(counts) - counts)] = counts
        return {"stream": stream}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        begins = self._begins(arrays["stream"], shape)
        yield "stream", begins[-1]

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        stream, spans = arrays["stream"], _num_spans(shape[1])
        begins = self._begins(stream, shape)
        codes = np.zeros((shape[0], spans * _SPAN), S8)
        for number, (begin, end) in enumerate(pairwise(begins)):
            row, span = divmod(number, spans)
            columns = stream[begin + 1 : end : 2].astype(np.int64)
            if (span * _SPAN + columns >= shape[1]).any() or (columns >= _SPAN).any():
                raise self._damaged("stream")
            codes[row, span * _SPAN + columns] = stream[begin + 2 : end : 2].view(S8)
        return codes[:, : shape[1]].copy()

    def _begins(self, stream: NDArray[np.uint8], shape: tuple[int, int]) -> list[int]:
        """Return where each span begins, and where the last one ends."""
        begins = [0]
        for _ in range(shape[0] * _num_spans(shape[1])):
            if begins[-1] >= len(stream):
                raise self._damaged("stream")
            begins.append(begins[-1] + 1 + 2 * int(stream[begins[-1]]))
        return begins


def _num_spans(num_columns: int) -> int:
    return -(-num_columns // _SPAN)
