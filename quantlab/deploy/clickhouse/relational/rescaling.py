"""From one scale to another, to few levels, and by table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.relational.geometry import aligned, coordinates, flat
from quantlab.deploy.clickhouse.relational.writer import Writer, columns, step
from quantlab.deploy.clickhouse.sql.functions import call, index, wide
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression, Join, Source, Step, Value
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Add, Lookup, Multiply, Operation, Requantize, Threshold
from quantlab.integer.operations.rescale import Rescale


def requantize(operation: Requantize, writer: Writer) -> None:
    total = wide("value") * wide("left_multiplier")
    _rescaled(operation, writer, writer.source(operation.inputs[0]), ("value",), total)


def add(operation: Add, writer: Writer) -> None:
    left, right = wide("left_value"), wide("right_value")
    total = left * wide("left_multiplier") + right * wide("right_multiplier")
    _rescaled(operation, writer, pairs(operation, writer), ("left_value", "right_value"), total)


def _rescaled(
    operation: Rescale, writer: Writer, source: Source, values: tuple[str, ...], total: Expression
) -> None:
    """Shifts keep the sign, and so round down."""
    shifted = call("bitShiftRight", total + Column("offset"), "shift")
    constants = writer.constants("rescales", operation)
    rows = Join(cells_of(operation, writer, source, values), constants, ("cell",))
    writer.tensor(operation, rows, Column("element"), clamped(operation, shifted, "Int64"))


def cells_of(operation: Rescale, writer: Writer, source: Source, values: tuple[str, ...]) -> Step:
    """Return (sample, element, *values, cell): elements with the cell of their constants."""
    arrays: list[NDArray[Any]] = [*operation.multipliers, operation.offset, operation.shift]
    of_constants = np.broadcast_shapes(*(array.shape for array in arrays))
    shape = writer.program.types[operation.output].shape
    places = coordinates(shape)[len(shape) - len(of_constants) :]
    made = columns("sample", "element", *values, cell=flat(places, of_constants))
    return step("cells", made, source)


def clamped(operation: Rescale, value: Expression, kind: str) -> Expression:
    """Return a value within the operation's ends, all of a kind."""
    low, high = (Value(name, kind, getattr(operation, name)) for name in ("low", "high"))
    return call("greatest", low, call("least", high, value))


def multiply(operation: Multiply, writer: Writer) -> None:
    left = wide("left_value") - Value("left_zero", "Int64", operation.left_zero)
    right = wide("right_value") - Value("right_zero", "Int64", operation.right_zero)
    writer.tensor(operation, pairs(operation, writer), Column("element"), left * right)


def pairs(operation: Operation, writer: Writer) -> Join:
    """Return (sample, element, left_value, right_value), elements of the output."""
    shape = writer.program.types[operation.output].shape
    left, right = (
        aligned(writer.source(name), given.shape, shape, value)
        for name, given, value in zip(
            operation.inputs, writer.types(operation), ("left_value", "right_value"), strict=True
        )
    )
    return Join(left, right, ("sample", "element"))


def threshold(operation: Threshold, writer: Writer) -> None:
    low, between = (Value(name, "Int64", getattr(operation, name)) for name in ("low", "step"))
    if not operation.thresholds.shape[1]:
        source = writer.source(operation.inputs[0])
        writer.tensor(operation, source, Column("element"), low)
        return
    reached = wide("value") * wide("sign") >= Column("threshold")
    constants = writer.constants("thresholds", operation)
    counted = reached_levels(operation, writer, constants, reached)
    writer.tensor(operation, counted, Column("element"), low + between * wide("number"))


def reached_levels(
    operation: Threshold, writer: Writer, constants: Step, reached: Expression
) -> Step:
    """Return (sample, element, number): how many thresholds of its channel each element reaches."""
    (given,) = writer.types(operation)
    shape = (len(operation.thresholds), *[1] * (len(given.shape) - 1))
    channel = flat(coordinates(given.shape), shape)
    made = columns("sample", "element", "value", channel=channel)
    channels = step("channels", made, writer.source(operation.inputs[0]))
    rows = Join(channels, constants, ("channel",))
    compared = step("compared", columns("sample", "element", reached=reached), rows)
    keys = ("sample", "element")
    made = columns(*keys, number=call("sum", "reached"))
    return step("counted", made, compared, group_by=keys)


def lookup(operation: Lookup, writer: Writer) -> None:
    (given,) = writer.types(operation)
    entry = index(wide("value") - Value("lowest", "Int64", given.kind.minimum))
    made = columns("sample", "element", entry=entry)
    entries = step("entries", made, writer.source(operation.inputs[0]))
    rows = Join(entries, writer.constants("lookups", operation), ("entry",))
    writer.tensor(operation, rows, Column("element"), Column("result"))


EMITTERS: Emitters = {
    Add: add,
    Lookup: lookup,
    Multiply: multiply,
    Requantize: requantize,
    Threshold: threshold,
}
