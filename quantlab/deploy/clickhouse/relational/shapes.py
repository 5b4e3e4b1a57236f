"""What moves elements and changes none, and which of them is largest."""

from quantlab.deploy.clickhouse.relational.geometry import coordinates, flat, size
from quantlab.deploy.clickhouse.relational.writer import Writer, columns, step
from quantlab.deploy.clickhouse.sql.functions import call, quotient, remainder, wide
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    Expression,
    Literal,
    Select,
    Source,
    Step,
    UnionAll,
)
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import ArgMax, Concatenate, Permute, Reshape, Slice

_RANKS = 2**32  # above all indices


def reshape(operation: Reshape, writer: Writer) -> None:
    source = writer.source(operation.inputs[0])
    writer.tensor(operation, source, Column("element"), Column("value"))


def permute(operation: Permute, writer: Writer) -> None:
    (given,) = writer.types(operation)
    places = coordinates(given.shape)
    shape = writer.program.types[operation.output].shape
    element = flat([places[axis] for axis in operation.axes], shape)
    moved = _moved(writer.source(operation.inputs[0]), element)
    writer.tensor(operation, moved, Column("moved"), Column("value"))


def cut(operation: Slice, writer: Writer) -> None:
    (given,) = writer.types(operation)
    places = coordinates(given.shape)
    start, between = size("start", operation.start), size("step", operation.step)
    place = places[operation.axis]
    past = wide(place) - start
    places[operation.axis] = quotient(past, between)
    element = flat(places, writer.program.types[operation.output].shape)
    chosen = (
        place >= start,
        place < size("stop", operation.stop),
        remainder(past, between).equals(0),
    )
    moved = _moved(writer.source(operation.inputs[0]), element, chosen)
    writer.tensor(operation, moved, Column("moved"), Column("value"))


def concatenate(operation: Concatenate, writer: Writer) -> None:
    shape = writer.program.types[operation.output].shape
    parts: list[Select] = []
    before = 0
    for name, given in zip(operation.inputs, writer.types(operation), strict=True):
        places = coordinates(given.shape)
        places[operation.axis] = places[operation.axis] + size("before", before)
        parts.append(_selected(writer.source(name), flat(places, shape)))
        before += given.shape[operation.axis]
    rows = Step("parts", UnionAll(tuple(parts)))
    writer.tensor(operation, rows, Column("moved"), Column("value"))


def _moved(source: Source, element: Expression, where: tuple[Expression, ...] = ()) -> Step:
    return Step("moved_elements", _selected(source, element, where))


def _selected(source: Source, element: Expression, where: tuple[Expression, ...] = ()) -> Select:
    """Return (sample, moved, value): values with the element that they become."""
    made = columns("sample", moved=element, value=Column("value"))
    return Select(columns=made, source=source, where=where)


def argmax(operation: ArgMax, writer: Writer) -> None:
    """A rank orders by value, equal ones by index, the first above the others."""
    (given,) = writer.types(operation)
    places = coordinates(given.shape)
    others = [place for axis, place in enumerate(places) if axis != operation.axis]
    element = flat(others, writer.program.types[operation.output].shape)
    rank = wide("value") * _RANKS + (Literal(_RANKS - 1) - places[operation.axis])
    source = writer.source(operation.inputs[0])
    ranked = step("ranked", columns("sample", place=element, rank=rank), source)
    keys = ("sample", "place")
    made = columns(*keys, largest=call("max", "rank"))
    largest = step("largest_ranks", made, ranked, group_by=keys)
    found = Literal(_RANKS - 1) - call("bitAnd", "largest", _RANKS - 1)
    writer.tensor(operation, largest, Column("place"), found)


EMITTERS: Emitters = {
    ArgMax: argmax,
    Concatenate: concatenate,
    Permute: permute,
    Reshape: reshape,
    Slice: cut,
}
