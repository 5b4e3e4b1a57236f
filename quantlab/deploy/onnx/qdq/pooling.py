"""Maxima and means over windows."""

import numpy as np

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.qdq.padding import around
from quantlab.deploy.onnx.qdq.shapes import moved
from quantlab.deploy.onnx.qdq.writer import Reals, Writer
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.program import Reading


def sum_pool(operation: SumPool, writer: Writer) -> None:
    windows = operation.windows
    x, given = writer.even(operation.inputs[0])
    codes = np.full(writer.program.types[operation.inputs[0]].shape[0], operation.padding_code)
    x, pads = around(writer, operation, x, given, codes)
    count = windows.kernel[0] * windows.kernel[1]
    reading = Reading(scale=given.scale / count, offset=given.offset)
    floats = writer.graph.node(
        "AveragePool", x,
        to=writer.name(operation.output, reading),
        kernel_shape=windows.kernel, strides=windows.stride, dilations=windows.dilation, pads=pads,
        count_include_pad=1,
    )  # fmt: skip
    writer.keep(operation.output, floats, reading)


def adaptive_sum_pool(operation: AdaptiveSumPool, writer: Writer) -> None:
    x, given = writer.even(operation.inputs[0])
    sizes = writer.program.types[operation.inputs[0]].shape[1:]
    rows, columns = (_shares(*pair) for pair in zip(sizes, operation.size, strict=True))
    share = (rows.max(1)[:, None] * columns.max(1))[None]
    if np.unique(share).size == 1:
        share = share[0, 0, 0].reshape(())
    reading = Reading(scale=given.scale * share, offset=given.offset)
    name = writer.name(operation.output, reading)
    if operation.size == (1, 1):
        floats = writer.graph.node("GlobalAveragePool", x, to=name)
    elif not any(size % count for size, count in zip(sizes, operation.size, strict=True)):
        kernel = [size // count for size, count in zip(sizes, operation.size, strict=True)]
        floats = writer.graph.node("AveragePool", x, to=name, kernel_shape=kernel, strides=kernel)
    else:
        down = writer.graph.node("MatMul", writer.number(rows), x)
        floats = writer.graph.node("MatMul", down, writer.number(columns.T), to=name)
    writer.keep(operation.output, floats, reading)


def _shares(size: int, count: int) -> Reals:
    """Return what part of each window's mean each number is, `[count, size]`."""
    found = np.zeros((count, size))
    for row, (start, end) in enumerate(adaptive_ends(size, count)):
        found[row, start:end] = 1 / (end - start)
    return found


def max_pool(operation: MaxPool, writer: Writer) -> None:
    windows = operation.windows
    given = writer.program.types[operation.inputs[0]]
    below, beside = windows.overhang(*given.shape[1:])
    top, left, bottom, right = windows.padding
    pads = [top, left, bottom + below, right + beside]
    moved(
        writer, operation, "MaxPool", kernel_shape=windows.kernel, strides=windows.stride,
        dilations=windows.dilation, pads=pads,
    )  # fmt: skip


EMITTERS: Emitters = {
    MaxPool: max_pool,
    SumPool: sum_pool,
    AdaptiveSumPool: adaptive_sum_pool,
}
