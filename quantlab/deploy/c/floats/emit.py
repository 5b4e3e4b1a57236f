"""Which calls the operations of a float program become."""

from collections.abc import Sequence
from functools import singledispatch

import numpy as np

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.floats.elementwise import elementwise
from quantlab.deploy.c.floats.products import product
from quantlab.deploy.c.floats.writer import (
    FLOAT_BYTES,
    IN_PLACE,
    FloatWriter,
    check_sizes,
    read,
    written,
)
from quantlab.deploy.c.text import braces, number
from quantlab.floats.operations import (
    Elementwise,
    Fill,
    Operation,
    Pool,
    Product,
    Reduce,
    Softmax,
)


@singledispatch
def emit(operation: Operation, writer: FloatWriter, encoding: str) -> None:
    """Append the calls of an operation. encoding: of weights, see `weights.py`. Raises UsageError,
    with the layer, for what C cannot hold."""
    raise TypeError(type(operation).__name__)


@emit.register
def _(operation: Product, writer: FloatWriter, encoding: str) -> None:
    product(operation, writer, encoding)


@emit.register
def _(operation: Elementwise, writer: FloatWriter, encoding: str) -> None:
    elementwise(operation, writer)


@emit.register
def _(operation: Pool, writer: FloatWriter, encoding: str) -> None:
    rows, columns, channels = operation.size
    check_sizes(operation, {"rows": rows, "columns": columns, "channels": channels})
    divisors = operation.divisors
    kind = "max" if divisors is None else "average"
    fields = {
        "columns": columns,
        "channels": channels,
        "result_rows": len(operation.rows),
        "result_columns": len(operation.columns),
        "dilation_rows": operation.dilation[0],
        "dilation_columns": operation.dilation[1],
        "row_ranges": _ranges(writer, "rows", operation.rows),
        "column_ranges": _ranges(writer, "columns", operation.columns),
        "divisors": "NULL" if divisors is None else writer.constants("divisors", divisors),
        "divisor_step": int(divisors is not None and divisors.size > 1),
    }
    pool = writer.structure("ql_float_pool", "pool", fields)
    writer.runtime |= {f"float_{kind}_pool"}
    begins = np.add.outer(
        np.array([begin for begin, _ in operation.rows]) * columns,
        np.array([begin for begin, _ in operation.columns]),
    ).reshape(-1)
    # A place is written where nothing is that it or a later one still reads.
    from_here = np.minimum.accumulate(begins[::-1])[::-1]
    ahead = int((np.arange(len(begins)) + 1 - from_here).max()) * FLOAT_BYTES * channels
    over = {operation.output: {operation.input: Gap(forward=ahead, backward=None)}}
    arguments = f"&{pool}", read(operation.input), written(operation.output)
    writer.call(f"ql_float_{kind}_pool", *arguments, over=over)


def _ranges(writer: FloatWriter, name: str, ranges: Sequence[tuple[int, int]]) -> str:
    return writer.table("ql_float_range", name, [braces(one) for one in ranges])


@emit.register
def _(operation: Fill, writer: FloatWriter, encoding: str) -> None:
    writer.runtime |= {"float_fill"}
    value = number(float(np.float32(operation.number)))
    count = writer.program.size(operation.output)
    writer.call("ql_float_fill", written(operation.output), value, str(count))


@emit.register
def _(operation: Softmax, writer: FloatWriter, encoding: str) -> None:
    name = "log_softmax" if operation.is_logarithm else "softmax"
    writer.runtime |= {f"float_{name}"}
    rows = writer.program.size(operation.input) // operation.count
    over = {operation.output: {operation.input: IN_PLACE}}
    arguments = read(operation.input), written(operation.output), str(rows), str(operation.count)
    writer.call(f"ql_float_{name}", *arguments, over=over)


@emit.register
def _(operation: Reduce, writer: FloatWriter, encoding: str) -> None:
    name = "largest" if operation.divisor is None else "sum"
    writer.runtime |= {f"float_{name}"}
    rows = writer.program.size(operation.input) // operation.count
    over = {operation.output: {operation.input: IN_PLACE}}
    divisor = operation.divisor
    after = [] if divisor is None else [number(float(np.float32(divisor)))]
    x, to = read(operation.input), written(operation.output)
    writer.call(f"ql_float_{name}", x, to, str(rows), str(operation.count), *after, over=over)
