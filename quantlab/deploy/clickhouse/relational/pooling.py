"""Maxima and sums over windows."""

from math import prod

from quantlab.deploy.clickhouse.relational.geometry import (
    numbers,
    padded,
    pixels,
    size,
    windowed,
)
from quantlab.deploy.clickhouse.relational.writer import Writer, columns, step
from quantlab.deploy.clickhouse.sql.functions import call, index, quotient, remainder
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression, Step
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool


def max_pool(operation: MaxPool, writer: Writer) -> None:
    """The lowest integer stands beyond the border, where none takes part."""
    (given,) = writer.types(operation)
    _pooled(operation, writer, "max", given.kind.minimum)


def sum_pool(operation: SumPool, writer: Writer) -> None:
    _pooled(operation, writer, "sum", operation.padding_code)


def _pooled(operation: MaxPool | SumPool, writer: Writer, aggregate: str, code: int) -> None:
    (given,) = writer.types(operation)
    image = pixels(writer.source(operation.inputs[0]), given)
    image = padded(image, writer.samples(), given, operation.windows, code)
    windows = windowed(image, given, operation.windows, ("channel", "value"))
    places = prod(operation.windows.output_size(*given.shape[1:]))
    _aggregated(operation, writer, windows, aggregate, places)


def adaptive_sum_pool(operation: AdaptiveSumPool, writer: Writer) -> None:
    """Window i of n is from floor(i H / n) to before ceil((i + 1) H / n)."""
    (given,) = writer.types(operation)
    rows, row_length = operation.size
    places = rows * row_length
    made = columns("sample", "channel", "y", "x", "value", place=numbers("places", places))
    numbered = step("places", made, pixels(writer.source(operation.inputs[0]), given))
    row = quotient("place", size("columns", row_length))
    column = remainder("place", size("columns", row_length))
    inside = (
        *_within("y", row, size("rows", rows), size("height", given.shape[1])),
        *_within("x", column, size("columns", row_length), size("width", given.shape[2])),
    )
    made = columns("sample", "channel", "value", place=index("place"))
    windows = step("windows", made, numbered, where=inside)
    _aggregated(operation, writer, windows, "sum", places)


def _within(
    axis: str, window: Expression, count: Expression, length: Expression
) -> tuple[Expression, Expression]:
    start = quotient(window * length, count)
    end = quotient((window + 1) * length + (count - 1), count)
    return Column(axis) >= start, Column(axis) < end


def _aggregated(
    operation: MaxPool | SumPool | AdaptiveSumPool,
    writer: Writer,
    windows: Step,
    aggregate: str,
    places: int,
) -> None:
    keys = ("sample", "channel", "place")
    made = columns(*keys, pooled=call(aggregate, "value"))
    pooled = step("pooled", made, windows, group_by=keys)
    element = Column("channel") * size("places", places) + Column("place")
    writer.tensor(operation, pooled, index(element), Column("pooled"))


EMITTERS: Emitters = {
    AdaptiveSumPool: adaptive_sum_pool,
    MaxPool: max_pool,
    SumPool: sum_pool,
}
