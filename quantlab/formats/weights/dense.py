"""All codes, a byte each.

    values   int8 [O * K]   the codes, row after row

Code k of row o is element o * K + k.

    for (k = 0; k < K; k++) sum += *values++ * x[k];
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.formats.weights.encoding import S8, Arrays, Encoding


@dataclass(frozen=True)
class Dense(Encoding):
    """A byte for each code."""

    @property
    def name(self) -> str:
        return "dense"

    @property
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        return {"values": S8}

    def _nbytes(self, codes: NDArray[np.int8]) -> int:
        return codes.size

    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]:
        return {"values": codes.flatten()}

    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        yield "values", prod(shape)

    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        return arrays["values"].reshape(shape).copy()
