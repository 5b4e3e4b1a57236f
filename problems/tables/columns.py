"""The columns of a table, and the numbers that a network gets of each.

Shapes: N rows, F features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from problems.tables.standardize import Standardization
from quantlab.errors import DataError, UsageError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Number:
    """A column of numbers: one feature. An empty cell counts as the mean.

    mean, std: constants, such as `python -m problems.tables.describe FILE` prints them.
    """

    name: str
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise UsageError(f"column '{self.name}': mean {self.mean} given, a finite one allowed")
        if not (math.isfinite(self.std) and self.std > 0):
            raise UsageError(
                f"column '{self.name}': std {self.std} given, a finite one above 0 allowed"
            )

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def moments(self) -> tuple[tuple[float, float], ...]:
        return ((self.mean, self.std),)

    def read(self, cell: str) -> tuple[float, ...]:
        """Return the features of a cell. Raises DataError."""
        return (self.mean,) if not cell else (self.number(cell),)

    def number(self, cell: str) -> float:
        """Return the number in a cell. Raises DataError for anything else."""
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"column '{self.name}': {cell!r} given, a finite number allowed")
        return value

    def scaled(self, values: Tensor) -> Tensor:
        """Return numbers of this column as (x - mean) / std."""
        return (values - self.mean) / self.std

    def restored(self, values: Tensor) -> Tensor:
        """Return what `scaled` was made of."""
        return values * self.std + self.mean


@dataclass(frozen=True, kw_only=True)
class Category:
    """A column of texts: a feature for each of its values, 1 for that of the cell and 0 for the
    others. For an empty cell all are one half, which is the middle of the network's grid."""

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values) or "" in self.values:
            raise UsageError(
                f"column '{self.name}': values {self.values} given, at least one allowed, all "
                "different and none empty"
            )

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={value}" for value in self.values)

    @property
    def moments(self) -> tuple[tuple[float, float], ...]:
        return ((0.5, 0.5),) * len(self.values)

    def read(self, cell: str) -> tuple[float, ...]:
        """Return the features of a cell. Raises DataError."""
        if not cell:
            return (0.5,) * len(self.values)
        place = self.position(cell)
        return tuple(float(number == place) for number in range(len(self.values)))

    def position(self, cell: str) -> int:
        """Return which of the values is in a cell. Raises DataError with the nearest one."""
        if cell not in self.values:
            hint = did_you_mean(cell, self.values)
            allowed = ", ".join(self.values)
            raise DataError(f"column '{self.name}': {cell!r} given; allowed: {allowed}{hint}")
        return self.values.index(cell)


Column = Number | Category


def standardization(columns: Sequence[Column]) -> Standardization:
    """Return how the features of columns are standardized."""
    moments = [pair for column in columns for pair in column.moments]
    return Standardization(
        names=tuple(name for column in columns for name in column.features),
        mean=tuple(mean for mean, _ in moments),
        std=tuple(std for _, std in moments),
    )
