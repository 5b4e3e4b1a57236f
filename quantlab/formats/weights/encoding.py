"""What all encodings of integer weights have in common.

The codes of a layer are a matrix `[O, K]` of int8: a row holds the weights of one output, in the
order in which its inputs are read. An encoding stores them as flat arrays of int8, uint8 or
little-endian uint16, row after row, so that a loop in C reads each array once, from its first
element to its last. Each module says what its arrays hold, to the bit, and gives that loop for one
row: `x` are the row's K inputs, `sum` is its int32 sum.

Shapes: O rows, K columns, N stored codes or blocks.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError

MAX_COLUMNS = np.iinfo(np.uint16).max
S8, U8, U16 = np.dtype(np.int8), np.dtype(np.uint8), np.dtype("<u2")

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """A layer's weights as stored. encoding: its name. arrays: flat, by name."""

    encoding: str
    arrays: Arrays

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())


class Encoding(ABC):
    """A way to store codes `[O, K]`. The same codes give the same bytes."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in the table of encodings."""

    @property
    @abstractmethod
    def dtypes(self) -> Mapping[str, np.dtype[Any]]:
        """The type of each array, by its name."""

    def obstacle(self, codes: NDArray[np.int8]) -> str | None:
        """Return why codes cannot be stored, None if they can. Raises UsageError for what is no
        int8 `[O, K]`."""
        _check_codes(codes)
        return self._obstacle(codes)

    def encode(self, codes: NDArray[np.int8]) -> Encoded:
        """Return codes `[O, K]` as stored. Raises UsageError if they cannot be."""
        self._check(codes)
        return Encoded(encoding=self.name, arrays=self._arrays(codes))

    def decode(self, encoded: Encoded, shape: tuple[int, int]) -> NDArray[np.int8]:
        """Return the codes `[O, K]`. The inverse of `encode`.

        Raises UsageError for arrays that `encode` does not give for any codes of that shape.
        """
        _check_shape(shape)
        self._check_arrays(encoded, shape)
        codes = self._codes(encoded.arrays, shape)
        reason = self._obstacle(codes)
        if reason is not None:
            raise UsageError(f"{self.name}: {reason}")
        for name, array in self._arrays(codes).items():
            if not np.array_equal(array, encoded.arrays[name]):
                raise self._damaged(name)
        return codes

    def nbytes(self, codes: NDArray[np.int8]) -> int:
        """Return the bytes that `encode` gives, without encoding. Raises UsageError as it does."""
        self._check(codes)
        return self._nbytes(codes)

    def _obstacle(self, codes: NDArray[np.int8]) -> str | None:
        """Return why codes cannot be stored, None if they can."""
        return None

    @abstractmethod
    def _nbytes(self, codes: NDArray[np.int8]) -> int: ...

    @abstractmethod
    def _arrays(self, codes: NDArray[np.int8]) -> dict[str, NDArray[Any]]: ...

    @abstractmethod
    def _lengths(self, arrays: Arrays, shape: tuple[int, int]) -> Iterator[tuple[str, int]]:
        """Yield each array's name and length; arrays whose names came earlier have theirs."""

    @abstractmethod
    def _codes(self, arrays: Arrays, shape: tuple[int, int]) -> NDArray[np.int8]:
        """Return the codes of arrays of the right types and lengths. What is wrong with their
        contents is found by encoding the codes again, unless no codes can be made of them."""

    def _check(self, codes: NDArray[np.int8]) -> None:
        reason = self.obstacle(codes)
        if reason is not None:
            raise UsageError(f"{self.name}: {reason}")

    def _check_arrays(self, encoded: Encoded, shape: tuple[int, int]) -> None:
        if encoded.encoding != self.name:
            raise UsageError(f"{self.name}: weights stored as '{encoded.encoding}' given")
        arrays, dtypes = encoded.arrays, self.dtypes
        if set(arrays) != set(dtypes):
            given = ", ".join(arrays) or "none"
            raise UsageError(f"{self.name}: arrays {given} given; {', '.join(dtypes)} allowed")
        for name, length in self._lengths(arrays, shape):
            array, dtype = arrays[name], dtypes[name]
            if array.dtype != dtype or array.shape != (length,):
                raise UsageError(
                    f"{self.name}: {array.dtype}{list(array.shape)} given for array '{name}', "
                    f"{dtype}[{length}] allowed"
                )

    def _damaged(self, name: str) -> UsageError:
        return UsageError(f"{self.name}: array '{name}' holds what no codes are stored as")


def too_many_columns(codes: NDArray[np.int8]) -> str | None:
    """Return that a row has more columns than 16 bits can count, None if it does not."""
    columns = codes.shape[1]
    return (
        f"{columns} columns given, at most {MAX_COLUMNS} allowed" if columns > MAX_COLUMNS else None
    )


def _check_codes(codes: NDArray[np.int8]) -> None:
    if not isinstance(codes, np.ndarray):
        raise UsageError(f"codes: a {type(codes).__name__} given, an int8 array [O, K] allowed")
    if codes.dtype != S8 or codes.ndim != 2 or not codes.size:
        raise UsageError(
            f"codes: {codes.dtype}{list(codes.shape)} given, int8 [O, K] with at least one row and "
            "one column allowed"
        )


def _check_shape(shape: tuple[int, int]) -> None:
    if len(shape) != 2 or min(shape) < 1:
        raise UsageError(
            f"shape: {list(shape)} given, [O, K] with at least one row and one column allowed"
        )
