"""What is made of sums, row by row: of those of a layer or of a pooling."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.made_bytes import define_bytes
from quantlab.deploy.c.placed import Order, Placed
from quantlab.deploy.c.pooled import define_pooling
from quantlab.deploy.c.rows import define_row, grows_by_bias, without_bias
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Argument, Pointer, Writer, c_type
from quantlab.integer.groups import Group, Made
from quantlab.integer.program import Program

Places = list[tuple[Argument, Argument]]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The sums of a group. order: of their axes in memory. bias: of each channel."""

    group: Group
    order: Order
    bias: NDArray[np.int32]

    @property
    def shaped_bias(self) -> NDArray[np.int32]:
        """The bias in a shape that broadcasts against the sums."""
        return self.bias[:, None, None] if len(self.order) == 3 else self.bias

    def can_lack_bias(self, program: Program) -> bool:
        """Return whether what is made of the sums adds their bias with its own constants: it can,
        and takes no more bytes so."""
        return not self.group.is_read and all(
            one.source is not None
            or (
                without_bias(one.operation, one.side, self.shaped_bias) is not None
                and not (self.bias.any() and grows_by_bias(one.operation, one.side, program))
            )
            for one in self.group.made
        )


def finish(sums: Sums, writer: Writer, *, lacks_bias: bool) -> tuple[str, Argument, Places]:
    """Define what becomes of sums; return the structure, where the sums are stored, and the places
    of what is made of them.

    lacks_bias: whether the sums come without their bias.
    """
    output = sums.group.operation.output
    places, made, rows = _made(sums, writer, lacks_bias=lacks_bias)
    left_out = "NULL"
    if lacks_bias and sums.bias.any():
        left_out = writer.traced_constants("bias", sums.bias)
    stored: Argument = None
    if sums.group.is_read:
        stored = Pointer(writer.new(output, sums.order).buffer, is_written=True)
    else:
        writer.kept[output] = unplaced(writer, output, sums.order)
    fields = (
        f".made = {made}",
        f".rows = {rows}",
        f".num_made = {len(sums.group.made)}",
    )
    traced = f"QL_TENSOR({writer.numbers[output]}) QL_LEFT_OUT({left_out})"
    writer.runtime.add("finish_row")
    return f"{{{traced} {', '.join(fields)}}}", stored, places


def keep_pooled(group: Group, writer: Writer) -> None:
    """Append what gives the pooled images of a group to whoever traces the model."""
    for one in group.made:
        if one.pooling is not None:
            writer.keep(one.result)


def _row(sums: Sums, place: int, writer: Writer, *, lacks_bias: bool) -> tuple[str, str, str]:
    """Define what makes a row; return the names of the function that makes it, or of the one that
    makes bytes in its place, and of its constants."""
    one = sums.group.made[place]
    operation = one.operation
    lacks_bias = lacks_bias and one.source is None
    found = define_bytes(writer, operation, sums.bias if lacks_bias else np.zeros_like(sums.bias))
    if found is not None:
        return "NULL", *found
    shape = writer.program.types[operation.output].shape
    bias = sums.bias if lacks_bias else None
    function, constants = define_row(writer, operation, one.side, sums.order, shape, bias=bias)
    return function, "NULL", constants


def _made(sums: Sums, writer: Writer, *, lacks_bias: bool) -> tuple[Places, str, str]:
    """Return the places of what is made, the name of the array that says how, and of the function
    that makes all of it if that is not bytes alone, of sums alone."""
    places: Places = []
    makers = []
    made = sums.group.made
    for place, one in enumerate(made):
        makers.append(_row(sums, place, writer, lacks_bias=lacks_bias))
        places.append(_place(one, sums, writer))
    taken = {one.source for one in made}
    has_rows = any(
        bytes_function == "NULL" or place in taken or places[place][1] is None
        for place, (_, bytes_function, _) in enumerate(makers)
    )
    rows = "NULL"
    if has_rows:
        writer.runtime |= {"make_rows", "load_row", "store_row"}
        rows = "ql_make_rows"
    entries = []
    for place, (one, (function, bytes_function, constants)) in enumerate(
        zip(made, makers, strict=True)
    ):
        pooling = "NULL"
        if one.pooling is not None:
            pool = "pool_row" if has_rows else "pool_bytes"
            pooling = define_pooling(one.pooling, pool, writer)
        other = writer.program.types[one.other or one.operation.output]
        entries.append(
            braces(
                [
                    f"QL_TENSOR({writer.numbers[one.operation.output]}) "
                    f".source = {0 if one.source is None else one.source + 1}",
                    f".type = {c_type(writer.program.types[one.operation.output])}",
                    f".other_type = {c_type(other)}",
                    f".is_taken = {int(place in taken)}",
                    f".function = {function}",
                    f".bytes = {bytes_function}",
                    f".constants = &{constants}",
                    f".pooling = {pooling}",
                ]
            )
        )
    if not entries:
        return places, "NULL", rows
    return places, writer.table("ql_make", "made", entries), rows


def _place(one: Made, sums: Sums, writer: Writer) -> tuple[Argument, Argument]:
    """Return where the second input lies of what is made, and where the result does."""
    output = one.operation.output
    other: Argument = None
    if one.other is not None:
        other = Pointer(writer.ordered(one.other, sums.order).buffer)
    if one.pooling is None and writer.is_read(output):
        return other, Pointer(writer.new(output, sums.order).buffer, is_written=True)
    writer.kept[output] = unplaced(writer, output, sums.order)
    if one.pooling is None:
        return other, None
    return other, Pointer(writer.new(one.result, sums.order).buffer, is_written=True)


def unplaced(writer: Writer, name: str, order: Order) -> Placed:
    """Return how a tensor lies that is never stored."""
    kind = writer.program.types[name]
    return Placed(buffer="", kind=kind, axes=kind.shape, order=order)
