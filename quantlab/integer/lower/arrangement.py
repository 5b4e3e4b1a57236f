"""Arrangements: how a tensor is made of others whose integers only move.

What is rounded of such a tensor is rounded of its parts instead, right behind the layers that make
them; then the codes are moved, not the sums. Shapes are without the batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from quantlab.integer.lower.grid import Reals
from quantlab.integer.operations import Concatenate, Operation, Permute, Reshape, Slice

# Makes an operation of a tensor or several, and returns the name of what it makes.
Move = Callable[[type[Operation], Sequence[str], dict[str, Any]], str]
Shape = tuple[int, ...]


class Arrangement(ABC):
    """A value: equal ones move parts of the same shapes in the same way."""

    @abstractmethod
    def split(self, reals: Reals) -> list[Reals] | None:
        """Return of factors or offsets, which broadcast against the whole, those of each part;
        None if elements that share one in a part have several."""

    @abstractmethod
    def join(self, parts: Sequence[str], shape: Shape, move: Move) -> str:
        """Return the whole. shape: of each part but for its channels, which it begins with."""


@dataclass(frozen=True)
class Row(Arrangement):
    """`[C, 1, W]` as `[C, W]`: what layers of one axis give."""

    def split(self, reals: Reals) -> list[Reals] | None:
        return [reals if reals.ndim < 2 else reals[:, None, :]]

    def join(self, parts: Sequence[str], shape: Shape, move: Move) -> str:
        channels, _, width = shape
        return move(Reshape, parts, {"shape": (channels, width)})


@dataclass(frozen=True)
class Interleaved(Arrangement):
    """Places that take turns: `[O * r * c, M, N]`, for each r of `rows` and c of `columns`, as
    `[O, height, width]`.

    Row `M' * sum(rows) + i` is row M' of the i-th of all rows in turn, and so for columns; what is
    beyond height and width is left out.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    height: int
    width: int

    def split(self, reals: Reals) -> list[Reals] | None:
        counts = [r * c for r, c in product(self.rows, self.columns)]
        if reals.size == 1:
            return [reals.reshape(())] * len(counts)
        if reals.ndim != 3 or reals.shape[1:] != (1, 1):
            return None
        return [np.repeat(reals, count, axis=0) for count in counts]

    def join(self, parts: Sequence[str], shape: Shape, move: Move) -> str:
        channels, (_, height, width) = shape[0] // (self.rows[0] * self.columns[0]), shape
        per_row, per_column = sum(self.rows), sum(self.columns)
        if len(parts) == per_row * per_column:
            whole = _concatenated(parts, 0, move)
            split, axes = (per_row, per_column, channels, height, width), (2, 3, 0, 4, 1)
            whole = move(Reshape, (whole,), {"shape": split})
        else:
            whole, axes = self._by_bands(parts, (channels, height, width), move), (0, 3, 1, 4, 2)
        whole = move(Permute, (whole,), {"axes": axes})
        sizes = (height * per_row, width * per_column)
        whole = move(Reshape, (whole,), {"shape": (channels, *sizes)})
        for axis, (size, kept) in enumerate(zip(sizes, (self.height, self.width), strict=True), 1):
            if kept < size:
                cut = {"axis": axis, "start": 0, "stop": kept}
                whole = move(Slice, (whole,), cut)
        return whole

    def _by_bands(self, parts: Sequence[str], shape: Shape, move: Move) -> str:
        """Return `[O, all rows in turn, all columns in turn, M, N]`. shape: `[O, M, N]`."""
        turns, (channels, height, width) = iter(parts), shape
        bands = []
        for r in self.rows:
            pieces = [
                move(Reshape, (next(turns),), {"shape": (channels, r, c, height, width)})
                for c in self.columns
            ]
            bands.append(_concatenated(pieces, 2, move))
        return _concatenated(bands, 1, move)


def _concatenated(tensors: Sequence[str], axis: int, move: Move) -> str:
    return tensors[0] if len(tensors) == 1 else move(Concatenate, tensors, {"axis": axis})
