"""What is made of sums, row by row: of those of a layer or of a pooling."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.placed import Order, Placed
from quantlab.deploy.c.rows import define_compact, define_row, without_bias
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Argument, Pointer, Writer, c_type
from quantlab.integer.groups import Group

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

    def can_lack_bias(self) -> bool:
        """Return whether what is made of the sums can add their bias with its own constants."""
        return not self.group.is_read and all(
            one.source is not None
            or without_bias(one.operation, one.side, self.shaped_bias) is not None
            for one in self.group.made
        )


def finish(sums: Sums, writer: Writer, *, lacks_bias: bool) -> tuple[str, Argument, Places]:
    """Define what becomes of sums; return the structure, where the sums are stored, and the places
    of what is made of them.

    lacks_bias: whether the sums come without their bias.
    """
    output = sums.group.operation.output
    places, made, has_rows = _made(sums, writer, lacks_bias=lacks_bias)
    left_out = "NULL"
    if lacks_bias and sums.bias.any():
        left_out = writer.traced_constants("bias", sums.bias)
    stored: Argument = None
    if sums.group.is_read:
        stored = Pointer(writer.new(output, sums.order).buffer, is_written=True)
    else:
        writer.kept[output] = _unplaced(writer, output, sums.order)
    fields = (
        f".made = {made}",
        f".num_made = {len(sums.group.made)}",
        f".has_rows = {int(has_rows)}",
    )
    traced = f"QL_TENSOR({writer.numbers[output]}) QL_LEFT_OUT({left_out})"
    writer.runtime |= {"finish_row", "make_rows", "load_row", "store_row"}
    return f"{{{traced} {', '.join(fields)}}}", stored, places


def _row(sums: Sums, place: int, writer: Writer, *, lacks_bias: bool) -> tuple[str, str, str]:
    """Define what makes a row; return the names of the function that makes it, or of the one that
    makes bytes in its place, and of its constants."""
    one = sums.group.made[place]
    operation = one.operation
    if one.source is None:
        bias = sums.bias if lacks_bias else np.zeros_like(sums.bias)
        found = define_compact(writer, operation, bias)
        if found is not None:
            return "NULL", *found
        if lacks_bias:
            moved = without_bias(operation, one.side, sums.shaped_bias)
            assert moved is not None
            operation = moved
    shape = writer.program.types[operation.output].shape
    function, constants = define_row(writer, operation, one.side, sums.order, shape)
    return function, "NULL", constants


def _made(sums: Sums, writer: Writer, *, lacks_bias: bool) -> tuple[Places, str, bool]:
    """Return the places of what is made, the name of the array that says how, and whether anything
    but bytes is made, or bytes that are not stored or that something is made of."""
    places: Places = []
    has_rows = False
    entries = []
    for place, one in enumerate(sums.group.made):
        output = one.operation.output
        function, bytes_function, constants = _row(sums, place, writer, lacks_bias=lacks_bias)
        other: Argument = None
        other_type = "QL_U8"
        if one.other is not None:
            found = writer.ordered(one.other, sums.order)
            other, other_type = Pointer(found.buffer), c_type(found.kind)
        to: Argument = None
        if writer.is_read(output):
            to = Pointer(writer.new(output, sums.order).buffer, is_written=True)
        else:
            writer.kept[output] = _unplaced(writer, output, sums.order)
        places.append((other, to))
        is_taken = any(taking.source == place for taking in sums.group.made)
        has_rows |= bytes_function == "NULL" or is_taken or to is None
        source = 0 if one.source is None else one.source + 1
        kind = c_type(writer.program.types[output])
        entries.append(
            braces(
                [
                    f"QL_TENSOR({writer.numbers[output]}) .source = {source}",
                    f".type = {kind}",
                    f".other_type = {other_type}",
                    f".is_taken = {int(is_taken)}",
                    f".function = {function}",
                    f".bytes = {bytes_function}",
                    f".constants = &{constants}",
                ]
            )
        )
    if not entries:
        return places, "NULL", has_rows
    return places, writer.table("ql_make", "made", entries), has_rows


def _unplaced(writer: Writer, name: str, order: Order) -> Placed:
    """Return how a tensor lies that is never stored."""
    kind = writer.program.types[name]
    return Placed(buffer="", kind=kind, axes=kind.shape, order=order)
