"""From one scale to another, and to few levels."""

from quantlab.deploy.clickhouse.relational.rescaling import (
    cells_of,
    clamped,
    lookup,
    multiply,
    pairs,
    reached_levels,
)
from quantlab.deploy.clickhouse.relational.writer import Writer
from quantlab.deploy.clickhouse.sql.functions import call
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression, Join, Source, Value
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Add, Lookup, Multiply, Requantize, Threshold
from quantlab.integer.operations.rescale import Rescale


def requantize(operation: Requantize, writer: Writer) -> None:
    total = Column("value") * Column("left_scale")
    _rescaled(operation, writer, writer.source(operation.inputs[0]), ("value",), total)


def add(operation: Add, writer: Writer) -> None:
    left = Column("left_value") * Column("left_scale")
    right = Column("right_value") * Column("right_scale")
    values = ("left_value", "right_value")
    _rescaled(operation, writer, pairs(operation, writer), values, left + right)


def _rescaled(
    operation: Rescale, writer: Writer, source: Source, values: tuple[str, ...], total: Expression
) -> None:
    cells = cells_of(operation, writer, source, values)
    rows = Join(cells, writer.constants("scales", operation), ("cell",))
    value = clamped(operation, call("floor", total + Column("offset")), "Float64")
    writer.tensor(operation, rows, Column("element"), value)


def threshold(operation: Threshold, writer: Writer) -> None:
    low, between = (Value(name, "Float64", getattr(operation, name)) for name in ("low", "step"))
    reached = Column("value") * Column("sign") >= Column("threshold")
    constants = writer.constants("levels", operation)
    counted = reached_levels(operation, writer, constants, reached)
    writer.tensor(operation, counted, Column("element"), low + between * Column("number"))


EMITTERS: Emitters = {
    Add: add,
    Lookup: lookup,
    Multiply: multiply,
    Requantize: requantize,
    Threshold: threshold,
}
