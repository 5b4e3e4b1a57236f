"""Maxima and sums over windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.exact.writer import Writer, window_attributes
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.tensor_type import S32


def max_pool(operation: MaxPool, writer: Writer) -> None:
    graph, windows = writer.graph, operation.windows
    (given,) = writer.types(operation)
    lowest = np.full(given.shape[0], given.kind.minimum)
    x = writer.padded(operation.inputs[0], given, windows, lowest)
    is_narrow = given.kind.maximum < 256
    floats = np.float64 if given.kind == S32 else np.float32  # which holds all integers of the kind
    pooled = graph.node(
        "MaxPool",
        x if is_narrow else graph.cast(x, floats),
        kernel_shape=windows.kernel,
        strides=windows.stride,
        dilations=windows.dilation,
    )
    graph.cast(pooled, given.kind.dtype, to=operation.output)


def sum_pool(operation: SumPool, writer: Writer) -> None:
    (given,) = writer.types(operation)
    channels, windows = given.shape[0], operation.windows
    codes = np.full(channels, operation.padding_code)
    x = writer.padded(operation.inputs[0], given, windows, codes)
    ones = np.ones((channels, 1, *windows.kernel), np.int8)
    weight = writer.signed_bytes(f"{operation.output}.ones", ones)
    attributes = window_attributes(windows, channels)
    total = writer.sums_of_products("ConvInteger", x, given, weight, **attributes)
    writer.graph.cast(total, np.int32, to=operation.output)


def adaptive_sum_pool(operation: AdaptiveSumPool, writer: Writer) -> None:
    graph = writer.graph
    (given,) = writer.types(operation)
    x = graph.cast(operation.inputs[0], np.int32)
    rows, columns = (
        _members(size, count) for size, count in zip(given.shape[1:], operation.size, strict=True)
    )
    down = graph.node("MatMul", graph.number(rows, np.int32), x)
    graph.node("MatMul", down, graph.number(columns.T, np.int32), to=operation.output)


def _members(size: int, count: int) -> NDArray[Any]:
    """Return which elements are in each window, `[count, size]` of 0 and 1."""
    members = np.zeros((count, size), np.int32)
    for row, (start, end) in enumerate(adaptive_ends(size, count)):
        members[row, start:end] = 1
    return members


EMITTERS: Emitters = {
    MaxPool: max_pool,
    SumPool: sum_pool,
    AdaptiveSumPool: adaptive_sum_pool,
}
