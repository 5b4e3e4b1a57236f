"""Compressed sparse rows in bytes: blocks of B columns that are not all zero, each with its number.

With B = 1 these are the nonzero codes, each with its column.

    stream   uint8 [O * (S + K % B) + N * (1 + B)]   of each row its S spans, then its last K % B
                                                     codes, which fill no block

A span is 255 of a row's K / B blocks, the last one those that are left. It is a byte that says how
many of them are not all zero, and of each of these its number in the span and its codes. Numbers
ascend. A span of zeros is the byte 0, so that no gap needs an entry of its own, and a row has no
size.

    for (k = 0; k < K - K % B; k += 255 * B)
      for (n = *stream++; n > 0; n--) {
        p = x + k + B * *stream++;
        for (b = 0; b < B; b++) sum += (int8_t)*stream++ * *p++;
      }
    for (k = K - K % B; k < K; k++) sum += (int8_t)*stream++ * x[k];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

_SPAN = 255


@dataclass(frozen=True)
class Csr8(Encoding):
    """size: of a block, in columns, 1 to 255."""

    size: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 255:
            raise UsageError(f"csr8: size {self.size} given, 1..255 allowed")

    @property
    def name(self) -> str:
        return "csr8" if self.size == 1 else f"csr8x{self.size}"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"stream": U8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        rest: int = codes.shape[1] % self.size
        spans = self._num_spans(codes.shape[1])
        num_blocks = int(self._blocks(codes).any(axis=2).sum())
        return len(codes) * (spans + rest) + (1 + self.size) * num_blocks

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        blocks, num_spans = self._blocks(codes), self._num_spans(codes.shape[1])
        rows, places = np.nonzero(blocks.any(axis=2))
        spans = rows * num_spans + places // _SPAN
        counts = np.bincount(spans, minlength=len(codes) * num_spans)
        rest: int = codes.shape[1] % self.size
        entry = 1 + self.size
        stream = np.zeros(len(counts) + entry * len(rows) + len(codes) * rest, U8)
        # Before an entry lie those before it, the counts of its span and those before, and what
        # fills no block in the rows before.
        entries = entry * np.arange(len(rows)) + spans + 1 + rows * rest
        stream[entries] = places % _SPAN
        stream[entries[:, None] + 1 + np.arange(self.size)] = blocks[rows, places].view(U8)
        row_of_span = np.repeat(np.arange(len(codes)), num_spans)
        before = entry * (np.cumsum(counts) - counts) + row_of_span * rest
        stream[np.arange(len(counts)) + before] = counts
        ends = np.cumsum(num_spans + rest + entry * np.bincount(rows, minlength=len(codes)))
        stream[ends[:, None] - rest + np.arange(rest)] = codes[:, codes.shape[1] - rest :].view(U8)
        return {"stream": stream}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        *_, end = self._ends(arrays["stream"], shape)
        yield "stream", end

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        stream, num_spans = arrays["stream"], self._num_spans(shape[1])
        codes = np.zeros(shape, S8)
        blocks = np.zeros((shape[0], shape[1] // self.size, self.size), S8)
        begin, rest = 0, shape[1] % self.size
        for number, end in enumerate(self._ends(stream, shape)):
            row, span = divmod(number, num_spans + 1)
            if span == num_spans:
                codes[row, shape[1] - rest :] = stream[begin:end].view(S8)
            else:
                entries = stream[begin + 1 : end].reshape(-1, 1 + self.size)
                places = span * _SPAN + entries[:, 0].astype(np.int64)
                if (places >= blocks.shape[1]).any() or (entries[:, 0] >= _SPAN).any():
                    raise self._damaged("stream")
                blocks[row, places] = entries[:, 1:].view(S8)
            begin = end
        codes[:, : shape[1] - rest] = blocks.reshape(shape[0], -1)
        return codes

    def _ends(self, stream: NDArray[np.uint8], shape: tuple[int, int]) -> list[int]:
        """Return where each span ends, and behind those of a row what fills no block."""
        ends, end = [], 0
        for _ in range(shape[0]):
            for _ in range(self._num_spans(shape[1])):
                if end >= len(stream):
                    raise self._damaged("stream")
                end += 1 + (1 + self.size) * int(stream[end])
                ends.append(end)
            end += shape[1] % self.size
            ends.append(end)
        return ends

    def _num_spans(self, num_columns: int) -> int:
        return -(-(num_columns // self.size) // _SPAN)

    def _blocks(self, codes: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the codes that fill blocks `[O, K / B, B]`."""
        num_blocks = codes.shape[1] // self.size
        return codes[:, : num_blocks * self.size].reshape(len(codes), num_blocks, self.size)
