"""Columns as clickhouse-driver takes and gives them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.engines.connection import Values
from quantlab.errors import UsageError

_NUMBERS = re.compile(r"(U?Int(?:8|16|32|64)|Float(?:32|64))$")


def from_driver(values: Sequence[Any], kind: str) -> NDArray[Any]:
    """Return a column. kind: ClickHouse's name of its type; numbers get it, all else is objects."""
    if _NUMBERS.match(kind):
        return np.array(values, kind.lower())
    found = np.empty(len(values), object)
    inner = re.fullmatch(r"Array\((.*)\)", kind)
    for index, value in enumerate(values):
        found[index] = from_driver(value, inner[1]) if inner else value
    return found


def to_driver(values: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """Return a column of Python's values, text as bytes."""
    return [_plain(value) for value in values]


def check_lengths(columns: Values) -> None:
    """Raise UsageError for columns of different lengths."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"columns: {lengths} rows given, as many in each allowed")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value.encode() if isinstance(value, str) else value
