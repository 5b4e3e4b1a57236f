"""Which calls the operations of a float program become."""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.call import Argument
from quantlab.deploy.c.floats.loops import AXES, Loops, loops_of
from quantlab.deploy.c.floats.weights import BLOCK, Rows, stored
from quantlab.deploy.c.floats.writer import FLOAT_BYTES, FloatWriter, read, written
from quantlab.deploy.c.overlap import Places as Image
from quantlab.deploy.c.overlap import window_gap
from quantlab.deploy.c.text import braces, number
from quantlab.errors import UsageError
from quantlab.floats.operations import (
    Elementwise,
    Fill,
    Operation,
    Places,
    Pool,
    Pooled,
    Product,
    Reals,
    Reduce,
    Softmax,
)
from quantlab.integer.operations import Windows

_IN_PLACE = Gap(forward=0, backward=None)


@singledispatch
def emit(operation: Operation, writer: FloatWriter, encoding: str) -> None:
    """Append the calls of an operation. encoding: of weights, see `weights.py`. Raises UsageError,
    with the layer, for what C cannot hold."""
    raise TypeError(type(operation).__name__)


@emit.register
def _(operation: Product, writer: FloatWriter, encoding: str) -> None:
    (rows, columns), windows = operation.size, operation.windows
    outputs = len(operation.weight)
    _check_sizes(
        operation, rows=rows, columns=columns, channels=operation.channels, outputs=outputs
    )
    weights = stored(operation, encoding)
    place, array, window_size = _place(operation, writer, weights)
    top, left, *_ = windows.padding
    pooled = operation.pooled or Pooled(size=(1, 1), stride=(1, 1), count=operation.places)
    function, constants = operation.function, "NULL"
    if function is not None:
        constants = writer.numbers("constants", function.constants)
    fields = {
        "rows": rows,
        "columns": columns,
        "channels": operation.channels,
        "result_rows": pooled.count[0],
        "result_columns": pooled.count[1],
        "outputs": outputs,
        "kernel_rows": windows.kernel[0],
        "kernel_columns": windows.kernel[1],
        "stride_rows": windows.stride[0],
        "stride_columns": windows.stride[1],
        "dilation_rows": windows.dilation[0],
        "dilation_columns": windows.dilation[1],
        "top": top,
        "left": left,
        "groups": operation.groups,
        "tile_rows": pooled.size[0],
        "tile_columns": pooled.size[1],
        "tile_stride_rows": pooled.stride[0],
        "tile_stride_columns": pooled.stride[1],
        "window": window_size,
        "place": place,
        "weights": array,
        "bias": "NULL" if operation.bias is None else writer.constants("bias", operation.bias),
        "function": "NULL" if function is None else _function(writer, function.name),
        "constants": constants,
    }
    layer = writer.structure("ql_float_layer", "layer", fields)
    scratch = window_size + (outputs if prod(pooled.size) > 1 else 0)
    writer.runtime |= {"float_run_layer"}
    writer.call(
        "ql_float_run_layer",
        f"&{layer}",
        read(operation.input),
        written(writer.temporary(scratch) if scratch else operation.output),
        written(operation.output),
        over={operation.output: {operation.input: _gap(operation)}},
        is_directed=True,
    )


def _place(operation: Product, writer: FloatWriter, weights: Rows | Reals) -> tuple[str, str, int]:
    """Return the function of a place, its weights, and of how many numbers the copy of a window is,
    0 where none is made."""
    windows = operation.windows
    window_size = prod(windows.kernel) * operation.channels
    if isinstance(weights, Rows):
        kind = "u8" if weights.gaps.dtype == np.uint8 else "u16"
        writer.weigh(f"csr_{kind}", weights.nbytes)
        writer.runtime |= {f"float_sparse_{kind}", "float_window"}
        array = f"&{_sparse(writer, weights)}"
        return f"ql_float_sparse_{kind}", array, window_size if windows.is_padded else 0
    writer.weigh("dense", weights.nbytes)
    array = writer.constants("weights", weights)
    if operation.is_depthwise:
        writer.runtime |= {"float_depthwise", "float_find_part"}
        return "ql_float_depthwise", array, 0
    is_dense = operation.groups == 1 and len(operation.weight) >= BLOCK
    kind = "dense" if is_dense else "grouped"
    writer.runtime |= {f"float_{kind}", "float_window"}
    is_place = windows.kernel == (1, 1) and not windows.is_padded
    return f"ql_float_{kind}", array, 0 if is_place else window_size // operation.groups


def _sparse(writer: FloatWriter, weights: Rows) -> str:
    fields = {
        "sizes": writer.constants("sizes", weights.sizes),
        "gaps": writer.constants("gaps", weights.gaps) if len(weights.gaps) else "NULL",
        "weights": writer.constants("weights", weights.values) if len(weights.gaps) else "NULL",
    }
    return writer.structure("ql_float_sparse", "sparse", fields)


def _gap(operation: Product) -> Gap:
    """Return how far a layer's result has to lie from its input. The windows of a tile's places are
    one window together."""
    (rows, columns), windows = operation.size, operation.windows
    counts, outputs = operation.places, len(operation.weight)
    pooled = operation.pooled
    if pooled is not None:
        counts = pooled.count
        spans = [
            (size - 1) * stride + dilation * (kernel - 1) + 1
            for size, stride, dilation, kernel in zip(
                pooled.size, windows.stride, windows.dilation, windows.kernel, strict=True
            )
        ]
        steps = [a * b for a, b in zip(windows.stride, pooled.stride, strict=True)]
        windows = Windows(
            kernel=(spans[0], spans[1]), stride=(steps[0], steps[1]), padding=windows.padding
        )
    given = Image(rows=rows, columns=columns, size=FLOAT_BYTES * operation.channels)
    result = Image(rows=counts[0], columns=counts[1], size=FLOAT_BYTES * outputs)
    return window_gap(windows, given, result)


@emit.register
def _(operation: Pool, writer: FloatWriter, encoding: str) -> None:
    rows, columns, channels = operation.size
    _check_sizes(operation, rows=rows, columns=columns, channels=channels)
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
def _(operation: Elementwise, writer: FloatWriter, encoding: str) -> None:
    to, places, others = operation.to_places, operation.places, operation.other_places
    loops = loops_of(to, places, places if others is None else others)
    if loops is None and operation.function.name == "copy":
        _move(writer, operation.input, places, operation.output, to)
        return
    other: Any = operation.other
    if operation.constant is not None:
        other = operation.constant
    if loops is None:
        # In order first, then the function.
        x = _gathered(writer, operation.input, places)
        places = np.arange(len(to))
        if others is not None and operation.constant is not None:
            other, others = operation.constant[others], places
        elif others is not None:
            other, others = _gathered(writer, other, others), places
        loops = loops_of(to, places, places if others is None else others)
        assert loops is not None  # places of outputs have an order
    else:
        x = operation.input
    over = {x: _IN_PLACE} if np.array_equal(to, places) else {}
    if isinstance(other, str) and others is not None and np.array_equal(to, others):
        over[other] = _IN_PLACE
    _walk(writer, operation, loops, x, other, {operation.output: over})


def _walk(
    writer: FloatWriter,
    operation: Elementwise,
    loops: Loops,
    x: str,
    other: Any,
    over: Mapping[str, Mapping[str, Gap]],
) -> None:
    name = _function(writer, operation.function.name)
    constants = writer.numbers("constants", operation.function.constants)
    to_start, x_start, other_start = loops.starts
    array = ""
    if isinstance(other, np.ndarray):
        array = writer.constants("other", np.ascontiguousarray(other, np.float32).reshape(-1))
    if len(loops.sizes) <= 1:
        size = loops.sizes[0] if loops.sizes else 1
        to_step, x_step, other_step = (steps[0] if steps else 0 for steps in loops.steps)
        given: Any = f"{array} + {other_start}" if array else read(other or x, other_start)
        arguments: list[Argument] = [
            *(constants, read(x, x_start), str(x_step), given, str(other_step)),
            *(written(operation.output, to_start), str(to_step), str(size)),
        ]
        writer.call(name, *arguments, over=over)
        return
    fields = {
        "size": braces([*[1] * (AXES - len(loops.sizes)), *loops.sizes]),
        "to": _steps(loops, 0),
        "x": _steps(loops, 1),
        "other": _steps(loops, 2),
        "function": name,
        "constants": constants,
    }
    walk = writer.structure("ql_float_walk", "walk", fields)
    writer.runtime |= {"float_run_walk"}
    given = array or read(other or x)
    to = written(operation.output)
    writer.call("ql_float_run_walk", f"&{walk}", read(x), given, to, over=over)


def _steps(loops: Loops, sequence: int) -> str:
    steps = loops.steps[sequence]
    return braces([loops.starts[sequence], braces([*[0] * (AXES - len(steps)), *steps])])


def _gathered(writer: FloatWriter, x: str, places: Places) -> str:
    """Return a buffer of the numbers at some places of another."""
    to = writer.temporary(len(places))
    _move(writer, x, places, to, np.arange(len(places)))
    return to


def _move(writer: FloatWriter, x: str, places: Places, to: str, to_places: Places) -> None:
    """Copy numbers one by one, by tables."""
    writer.runtime |= {"float_move"}
    tables = [
        writer.constants(name, one.astype(np.uint32))
        for name, one in (("places", places), ("to_places", to_places))
    ]
    writer.call("ql_float_move", tables[0], read(x), tables[1], written(to), str(len(places)))


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
    over = {operation.output: {operation.input: _IN_PLACE}}
    arguments = read(operation.input), written(operation.output), str(rows), str(operation.count)
    writer.call(f"ql_float_{name}", *arguments, over=over)


@emit.register
def _(operation: Reduce, writer: FloatWriter, encoding: str) -> None:
    name = "largest" if operation.divisor is None else "sum"
    writer.runtime |= {f"float_{name}"}
    rows = writer.program.size(operation.input) // operation.count
    over = {operation.output: {operation.input: _IN_PLACE}}
    divisor = operation.divisor
    after = [] if divisor is None else [number(float(np.float32(divisor)))]
    x, to = read(operation.input), written(operation.output)
    writer.call(f"ql_float_{name}", x, to, str(rows), str(operation.count), *after, over=over)


def _function(writer: FloatWriter, name: str) -> str:
    writer.runtime |= {f"float_{name}"}
    return f"ql_float_{name}"


def _check_sizes(operation: Operation, **sizes: int) -> None:
    for name, size in sizes.items():
        if size > np.iinfo(np.uint16).max:
            raise UsageError(
                f"layer '{operation.layer}': {size} {name} given, at most 65535 allowed"
            )
