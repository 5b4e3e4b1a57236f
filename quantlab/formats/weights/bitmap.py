"""A bit for each code that says whether it is nonzero, and the nonzero codes.

    bitmap   uint8 [O * ceil(K / 8)]   bit k % 8 of byte k / 8 of a row: whether code k is nonzero
    values   int8 [N]                  the nonzero codes, row after row

Each row of the bitmap begins with a byte. The bits behind the last column are 0, so that no input
is read there.

    for (k = 0; k < K; k += 8, x += 8)
      for (bits = *bitmap++, b = 0; bits != 0; bits >>= 1, b++)
        if (bits & 1) sum += *values++ * x[b];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.bit_rows import pack_rows, row_bytes, unpack_rows
from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding


@dataclass(frozen=True)
class Bitmap(Encoding):
    """A bit for each code, a byte for each nonzero one."""

    @property
    def name(self) -> str:
        return "bitmap"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"bitmap": U8, "values": S8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return len(codes) * row_bytes(codes.shape[1], 1) + int(np.count_nonzero(codes))

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        return {"bitmap": pack_rows((codes != 0).view(np.uint8), 1), "values": codes[codes != 0]}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "bitmap", shape[0] * row_bytes(shape[1], 1)
        yield "values", int(unpack_rows(arrays["bitmap"], shape, 1).sum(dtype=np.int64))

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        codes = np.zeros(shape, np.int8)
        codes[unpack_rows(arrays["bitmap"], shape, 1) != 0] = arrays["values"]
        return codes
