"""Compressed sparse rows: the nonzero codes, each with its column.

    sizes     uint16 [O]   the nonzero codes of each row
    columns   uint16 [N]   their columns, ascending in each row
    values    int8 [N]     the codes

SparseComp stores a fully connected layer so (`offset` are columns, `data` the codes), but with
running totals of the sizes, whose 16 bits overflow at 65,536 codes without a word. Of a convolution
it stores the sizes, as here. More than 65,535 columns are refused.

    for (n = *sizes++; n > 0; n--) sum += *values++ * x[*columns++];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.encoding import S8, U16, Arrays, Encoding, too_many_columns


@dataclass(frozen=True)
class Csr(Encoding):
    """Three bytes for each nonzero code, two for each row."""

    @property
    def name(self) -> str:
        return "csr"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"sizes": U16, "columns": U16, "values": S8}

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        return too_many_columns(codes)

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return 2 * len(codes) + 3 * int(np.count_nonzero(codes))

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        rows, columns = np.nonzero(codes)
        return {
            "sizes": np.count_nonzero(codes, axis=1).astype(U16),
            "columns": columns.astype(U16),
            "values": codes[rows, columns],
        }

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "sizes", shape[0]
        count = int(arrays["sizes"].sum())
        yield "columns", count
        yield "values", count

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        columns = arrays["columns"]
        if (columns >= shape[1]).any():
            raise self._damaged("columns")
        codes = np.zeros(shape, np.int8)
        codes[np.repeat(np.arange(shape[0]), arrays["sizes"]), columns] = arrays["values"]
        return codes
