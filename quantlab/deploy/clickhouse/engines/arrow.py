"""Columns as Arrow's arrays and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.engines.connection import Values
from quantlab.errors import UsageError


def to_stream(columns: Values) -> bytes:
    """Return columns of one length as a stream of Arrow. Raises UsageError for values of mixed
    kinds."""
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = _to_arrow(values)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise UsageError(f"column '{name}': values of one kind allowed: {error}") from error
    table = pa.table(arrays)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_stream(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the columns of a stream of Arrow, by name. Raises UsageError for several streams."""
    import pyarrow as pa

    source = pa.BufferReader(data)
    table = pa.ipc.open_stream(source).read_all()
    if source.tell() != len(data):
        raise UsageError("ClickHouse: several statements given, one at a time allowed")
    return {name: _from_arrow(table.column(name)) for name in table.column_names}


def _from_arrow(column: Any) -> NDArray[Any]:
    if not column.null_count:
        values: NDArray[Any] = column.to_numpy()
        return values
    found = np.empty(len(column), object)
    found[:] = column.to_pylist()
    return found


def _to_arrow(values: Sequence[Any] | NDArray[Any]) -> Any:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb" and values.ndim == 1:
        return pa.array(values)
    if len(values) and all(_is_row(row) for row in values):
        rows = _alike([np.asarray(row) for row in values])
        ends = np.cumsum([0, *map(len, rows)])
        return pa.LargeListArray.from_arrays(ends, pa.array(np.concatenate(rows)))
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if any(isinstance(item, str) for item in items):
        items = [item.encode() if isinstance(item, str) else item for item in items]
    return pa.array(items)


def _is_row(row: Any) -> bool:
    """Return whether a value is an array of numbers."""
    if isinstance(row, np.ndarray):
        return row.ndim == 1 and row.dtype.kind in "iufb"
    return isinstance(row, (list, tuple)) and all(isinstance(x, (int, float)) for x in row)


def _alike(rows: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return rows of one type: NumPy would join int64 and uint64 to float64, which is not exact."""
    filled = [row for row in rows if len(row)]
    if any(row.dtype.kind == "f" for row in filled):
        return [row.astype(np.float64) for row in rows]
    is_large = any(row.dtype == np.uint64 and row.max() > np.iinfo(np.int64).max for row in filled)
    if is_large and any(row.min() < 0 for row in filled):
        raise ValueError("negative integers beside some of 2^63 and more")
    return [row.astype(np.uint64 if is_large else np.int64) for row in rows]
