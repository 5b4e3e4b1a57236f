"""N:M sparsity: of each M neighboring columns, at most N nonzero codes.

    values   int8 [O * G * N]                  N codes of each group of M columns
    places   uint8 [O * ceil(G * N * w / 8)]   their columns in the group, w bits each

A row has G = ceil(K / M) groups, of which the last may have fewer columns. w is 1 for M = 2, 2 for
M = 4, 4 for M = 8 and 16. Place i of a row is its bits [i * w, (i + 1) * w), bit j of a row is bit
j % 8 of its byte j / 8. So no place lies in two bytes. Each row begins with a byte; the bits behind
its last place are 0. The nonzero codes of a group come first, their places ascending; zeros at
place 0 fill it up, so that no input behind the last column is read.

    for (i = 0; i < G * N; i++)
      sum += *values++ * x[i / N * M + (places[i * w / 8] >> i * w % 8 & ((1 << w) - 1))];
    places += (G * N * w + 7) / 8;
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.formats.weights.bit_rows import pack_rows, row_bytes, unpack_rows
from quantlab.formats.weights.encoding import S8, U8, Arrays, Encoding

_PLACE_BITS = {2: 1, 4: 2, 8: 4, 16: 4}
"""The bits of a place, by the columns of a group."""


@dataclass(frozen=True)
class Pattern(Encoding):
    """n: stored codes of a group. m: its columns, 2, 4, 8 or 16."""

    n: int
    m: int

    def __post_init__(self) -> None:
        if self.m not in _PLACE_BITS:
            allowed = ", ".join(map(str, _PLACE_BITS))
            raise UsageError(f"N:M: groups of {self.m} columns given, {allowed} allowed")
        if not 1 <= self.n < self.m:
            raise UsageError(f"N:M: {self.n} codes of {self.m} given, 1..{self.m - 1} allowed")

    @property
    def name(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"values": S8, "places": U8}

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        counts = np.count_nonzero(self._groups(codes), axis=2)
        if counts.max() <= self.n:
            return None
        row, group = np.argwhere(counts > self.n)[0]
        first = group * self.m
        last = min(first + self.m, codes.shape[1]) - 1
        return (
            f"{counts[row, group]} nonzero codes in row {row}, columns {first}..{last}, "
            f"at most {self.n} allowed"
        )

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        slots = self._slots(codes.shape[1])
        return len(codes) * (slots + row_bytes(slots, _PLACE_BITS[self.m]))

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        groups = self._groups(codes)
        places = np.argsort(groups == 0, axis=2, kind="stable")[:, :, : self.n]
        values = np.take_along_axis(groups, places, axis=2)
        places[values == 0] = 0
        rows = places.astype(U8).reshape(len(codes), -1)
        return {"values": values.reshape(-1), "places": pack_rows(rows, _PLACE_BITS[self.m])}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        slots = self._slots(shape[1])
        yield "values", shape[0] * slots
        yield "places", shape[0] * row_bytes(slots, _PLACE_BITS[self.m])

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        slots = shape[0], self._slots(shape[1])
        places = unpack_rows(arrays["places"], slots, _PLACE_BITS[self.m]).astype(np.int64)
        if (places >= self.m).any():
            raise self._damaged("places")
        columns = np.arange(slots[1]) // self.n * self.m + places
        codes = np.zeros((shape[0], slots[1] // self.n * self.m), np.int64)
        np.add.at(codes, (np.arange(shape[0])[:, None], columns), arrays["values"].reshape(slots))
        return codes[:, : shape[1]].astype(np.int8)

    def _slots(self, num_columns: int) -> int:
        """Return the stored codes of a row."""
        return -(-num_columns // self.m) * self.n

    def _groups(self, codes: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return the codes by groups `[O, G, M]`, zeros behind the last column."""
        padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % self.m)))
        return padded.reshape(len(codes), -1, self.m)
