"""Convolutions and fully connected layers, with the function and the pooling behind them."""

from math import prod

import numpy as np

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.floats.weights import BLOCK, Rows, stored
from quantlab.deploy.c.floats.writer import FLOAT_BYTES, FloatWriter, check_sizes, read, written
from quantlab.deploy.c.overlap import Places, window_gap
from quantlab.floats.operations import Pooled, Product, Reals
from quantlab.integer.operations import Windows


def product(operation: Product, writer: FloatWriter, encoding: str) -> None:
    """Append the call of a layer. encoding: see `weights.py`."""
    (rows, columns), windows = operation.size, operation.windows
    outputs = len(operation.weight)
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
        "function": "NULL" if function is None else writer.function(function.name),
        "constants": constants,
    }
    check_sizes(operation, fields)
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
    given = Places(rows=rows, columns=columns, size=FLOAT_BYTES * operation.channels)
    result = Places(rows=counts[0], columns=counts[1], size=FLOAT_BYTES * outputs)
    return window_gap(windows, given, result)
