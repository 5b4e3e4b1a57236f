"""Blocks of B neighboring columns that are not all zero, each with the zero blocks before it.

With B = 1 this is the delta encoding: nonzero codes, and gaps in bytes.

    sizes    uint16 [O]                  the entries of each row
    gaps     uint8 [N]                   the zero blocks between an entry and the one before it in
                                         its row, or the row's begin
    values   int8 [N * B + O * (K % B)]  of each row the codes of its entries, then its last K % B
                                         codes, which fill no block, whether they are zero or not

Gaps of more than 255 are split: an entry of gap 255 with B zeros as its codes stands for 256 zero
blocks. It is computed as any other entry, so the loop has no branch for it. No row ends with one.
Gaps of 254, 255, 256 and 509 are the entries 254; 255; 255 with zeros, 0; 255 with zeros, 253.
More than 65,535 columns are refused.

    p = x;
    for (n = *sizes++; n > 0; n--) {
      p += B * *gaps++;
      for (b = 0; b < B; b++) sum += *values++ * *p++;
    }
    for (k = K - K % B; k < K; k++) sum += *values++ * x[k];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.encoding import S8, U8, U16, Arrays, Encoding, too_many_columns

_SPAN = 256
"""The zero blocks of an entry of gap 255 whose codes are zeros."""


@dataclass(frozen=True)
class Blocks(Encoding):
    """size: of a block, in columns, 1 to 255."""

    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 255:
            raise UsageError(f"block: size {self.size} given, 1..255 allowed")

    @property
    def name(self) -> str:
        return "delta" if self.size == 1 else f"block{self.size}"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"sizes": U16, "gaps": U8, "values": S8}

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        return too_many_columns(codes)

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        rows, _, zeros = self._nonzero(self._whole(codes))
        num_entries = len(rows) + int((zeros // _SPAN).sum())
        rest: int = codes.shape[1] % self.size
        return len(codes) * (2 + rest) + num_entries * (1 + self.size)

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        whole = self._whole(codes)
        rows, columns, zeros = self._nonzero(whole)
        counts = zeros // _SPAN + 1
        sizes = np.zeros(len(codes), np.int64)
        np.add.at(sizes, rows, counts)
        gaps = np.full(counts.sum(), _SPAN - 1, U8)
        entries = np.cumsum(counts) - 1
        gaps[entries] = zeros % _SPAN
        rest = codes[:, whole.shape[1] * self.size :]
        in_entries, in_rest = self._places(sizes, rest.shape[1])
        values = np.zeros(in_entries.size + in_rest.size, S8)
        values[in_entries[entries]] = whole[rows, columns]
        values[in_rest] = rest
        return {"sizes": sizes.astype(U16), "gaps": gaps, "values": values}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "sizes", shape[0]
        count = int(arrays["sizes"].sum())
        yield "gaps", count
        yield "values", count * self.size + shape[0] * (shape[1] % self.size)

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        sizes, values = arrays["sizes"].astype(np.int64), arrays["values"]
        rows = np.repeat(np.arange(shape[0]), sizes)
        ends = np.cumsum(arrays["gaps"].astype(np.int64) + 1)
        before = np.concatenate([[0], ends])[np.cumsum(sizes) - sizes]
        columns = ends - before[rows] - 1
        num_blocks, rest = divmod(shape[1], self.size)
        if (columns >= num_blocks).any():
            raise self._damaged("gaps")
        in_entries, in_rest = self._places(sizes, rest)
        whole = np.zeros((shape[0], num_blocks, self.size), np.int8)
        whole[rows, columns] = values[in_entries]
        return np.concatenate([whole.reshape(shape[0], -1), values[in_rest]], axis=1)

    def _whole(self, codes: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the blocks of all rows `[O, K / B, B]`."""
        num_blocks = codes.shape[1] // self.size
        whole = codes[:, : num_blocks * self.size]
        return whole.reshape(len(codes), num_blocks, self.size)

    def _nonzero(
        self, whole: NDArray[np.int8]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows and columns of nonzero blocks, and the zero blocks before each."""
        rows, columns = np.nonzero(whole.any(axis=2))
        before = np.concatenate([[-1], columns[:-1]])[: len(columns)]
        before[1:][rows[1:] != rows[:-1]] = -1
        return rows, columns, columns - before - 1

    def _places(
        self, sizes: NDArray[np.int64], rest: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the codes of entries stand, `[N, B]`, and each row's last, `[O, rest]`."""
        rows = np.repeat(np.arange(len(sizes)), sizes)
        begins = np.arange(len(rows)) * self.size + rows * rest
        ends = np.cumsum(sizes) * self.size + np.arange(len(sizes)) * rest
        return begins[:, None] + np.arange(self.size), ends[:, None] + np.arange(rest)
