"""All codes, with b bits each: codes of few bits, ternary ones with 2, binary ones with 1.

    bits   uint8 [O * ceil(K * b / 8)]   the codes, row after row

Code k of a row is its bits [k * b, (k + 1) * b), bit i of a row is bit i % 8 of its byte i / 8.
Each row begins with a byte; the bits behind its last code are 0. The bits of a code are its b
lowest in two's complement, so code = (u ^ h) - h with h = 2^(b-1). With b = 1, a bit of 1 stands
for 1 and one of 0 for -1; other codes are refused.

    for (k = word = left = 0; k < K; k++) {
      if (left < b) word |= *bits++ << left, left += 8;
      u = word & ((1 << b) - 1), word >>= b, left -= b;
      sum += ((u ^ h) - h) * x[k];        // b = 1: (2 * u - 1) * x[k]
    }
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.bit_rows import pack_rows, row_bytes, unpack_rows
from quantlab.formats.weights.encoding import U8, Arrays, Encoding


@dataclass(frozen=True)
class Bits(Encoding):
    """num_bits: of each code, 1 to 7; with 8 it is the dense encoding."""

    num_bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.num_bits <= 7:
            raise UsageError(f"bits: num_bits {self.num_bits} given, 1..7 allowed")

    @property
    def name(self) -> str:
        return f"bits{self.num_bits}"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"bits": U8}

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        half = 1 << self.num_bits - 1
        if self.num_bits == 1:
            is_outside, allowed = np.abs(codes) != 1, "-1 and 1"
        else:
            is_outside, allowed = (codes < -half) | (codes >= half), f"{-half}..{half - 1}"
        if not is_outside.any():
            return None
        row, column = np.argwhere(is_outside)[0]
        return f"codes[{row}, {column}] is {codes[row, column]}, {allowed} allowed"

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return len(codes) * row_bytes(codes.shape[1], self.num_bits)

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        low = (codes > 0).view(np.uint8) if self.num_bits == 1 else codes.astype(np.uint8)
        return {"bits": pack_rows(low, self.num_bits)}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "bits", shape[0] * row_bytes(shape[1], self.num_bits)

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        low = unpack_rows(arrays["bits"], shape, self.num_bits).astype(np.int16)
        half = 1 << self.num_bits - 1
        codes = 2 * low - 1 if self.num_bits == 1 else (low ^ half) - half
        return codes.astype(np.int8)
