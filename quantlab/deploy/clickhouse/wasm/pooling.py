"""Pooling, and which one is largest."""

from collections.abc import Sequence

import numpy as np

from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, vector
from quantlab.deploy.clickhouse.wasm.padding import padded
from quantlab.deploy.clickhouse.wasm.walks import load_integer, store_integer, walk
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import AdaptiveSumPool, ArgMax, MaxPool, SumPool
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.tensor_type import S32


def max_pool(operation: MaxPool, writer: Writer) -> None:
    """Write the largest of each window, a vector of channels at a time.

    The last vector of a pixel may reach into the next one, which is written later.
    """
    (given,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    windows, kind = operation.windows, given.tensor.kind
    codes = np.full(given.tensor.shape[0], kind.minimum, np.int32)
    x = padded(writer, given, windows, codes, writer.scratch[operation.output])
    _, down, across = x.strides
    name = {8: "i8x16", 16: "i16x8", 32: "i32x4"}[kind.num_bits]
    name += ".max_u" if kind.minimum == 0 else ".max_s"
    places = [
        x.address + row * down * windows.dilation[0] + column * across * windows.dilation[1]
        for row in range(windows.kernel[0])
        for column in range(windows.kernel[1])
    ]
    channels, rows, columns = output.tensor.shape
    size = channels * x.element_bytes
    sizes = [rows, columns, -(-size // 16)]
    of_y = [output.strides[1], output.strides[2], 16]
    of_x = [down * windows.stride[0], across * windows.stride[1], 16]
    with walk(body, sizes, of_y, of_x) as (y_at, x_at):
        result = load(V128, "v128.load", x_at, places[0])
        for place in places[1:]:
            result = vector(name, result, load(V128, "v128.load", x_at, place))
        body.store("v128.store", y_at, result, output.address)


def sum_pool(operation: SumPool, writer: Writer) -> None:
    (given,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    windows = operation.windows
    codes = np.full(given.tensor.shape[0], operation.padding_code, np.int32)
    x = padded(writer, given, windows, codes, writer.scratch[operation.output])
    channel, down, across = x.strides
    outer = [channel, down * windows.stride[0], across * windows.stride[1]]
    inner = [down * windows.dilation[0], across * windows.dilation[1]]
    with writer.elements(output, outer) as (y_at, x_at):
        total = body.new(I32.of(0))
        with walk(body, windows.kernel, inner) as (x_in,):
            body.set(total, total + load_integer(x.tensor.kind, x_at + x_in, x.address))
        store_integer(body, S32, y_at, total, output.address)


def adaptive_sum_pool(operation: AdaptiveSumPool, writer: Writer) -> None:
    (x,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    _channels, *sizes = x.tensor.shape
    tables = [
        _ends(writer, adaptive_ends(size, count), stride)
        for size, count, stride in zip(sizes, operation.size, x.strides[1:], strict=True)
    ]
    with writer.elements(output, [x.strides[0], 0, 0], [0, 8, 0], [0, 0, 8]) as (y_at, x_at, *at):
        total = body.new(I32.of(0))
        starts = [load_integer(S32, one, table) for one, table in zip(at, tables, strict=True)]
        counts = [load_integer(S32, one, table + 4) for one, table in zip(at, tables, strict=True)]
        first = body.new(x_at + starts[0] + starts[1])
        rows, columns = (body.new(count) for count in counts)
        with body.repeated_to(rows) as row, body.repeated_to(columns) as column:
            at_one = first + row * x.strides[1] + column * x.strides[2]
            body.set(total, total + load_integer(x.tensor.kind, at_one, x.address))
        store_integer(body, S32, y_at, total, output.address)


def _ends(writer: Writer, ends: Sequence[tuple[int, int]], stride: int) -> int:
    """Return the address of where windows begin, in bytes, and how many elements they have."""
    pairs = [(start * stride, end - start) for start, end in ends]
    return writer.constants.address(np.array(pairs, np.int32))


def arg_max(operation: ArgMax, writer: Writer) -> None:
    (x,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    axis, kind = operation.axis, x.tensor.kind
    strides = [*x.strides[:axis], *x.strides[axis + 1 :]]
    with writer.elements(output, strides) as (y_at, x_at):
        largest = body.new(load_integer(kind, x_at, x.address))
        found = body.new(I32.of(0))
        with body.repeated(x.tensor.shape[axis]) as index:
            one = body.new(load_integer(kind, x_at + index * x.strides[axis], x.address))
            with body.when(one > largest):
                body.set(largest, one)
                body.set(found, index)
        store_integer(body, S32, y_at, found, output.address)


EMITTERS: Emitters = {
    AdaptiveSumPool: adaptive_sum_pool,
    ArgMax: arg_max,
    MaxPool: max_pool,
    SumPool: sum_pool,
}
