"""Pooling, with what is made of its sums."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from quantlab.deploy.c.intermittent.work import Work, channel_work, is_one_tile, pool_work
from quantlab.deploy.c.made import Sums, finish
from quantlab.deploy.c.overlap import Places, window_gap
from quantlab.deploy.c.placed import Placed, channels_last
from quantlab.deploy.c.writer import Pointer, Writer, c_type, check_sizes
from quantlab.integer.groups import Group
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, Operation, SumPool, Windows
from quantlab.integer.tensor_type import TensorType


def sum_pool(group: Group, writer: Writer) -> None:
    """Append the call of a pooling that adds up."""
    operation = group.operation
    assert isinstance(operation, AdaptiveSumPool | SumPool)
    x = writer.ordered(operation.inputs[0])
    order = channels_last(x.kind.shape)
    bias = np.zeros(x.kind.shape[0], np.int32)
    sums = Sums(group=group, order=order, bias=bias)
    finished, stored, places = finish(sums, writer, lacks_bias=False)
    fields = _sizes(operation, writer) | {"finish": finished}
    if isinstance(operation, SumPool):
        fields["padding"] = operation.padding_code
    found = writer.structure("ql_pool", "pool", fields)
    writer.runtime |= {"sum_pool", "load_row"}
    work, patch = _work(operation, x, writer), None
    if work.form == "tile_channels":
        _, rows, columns = x.kind.shape
        kind = TensorType((rows, columns * work.together), x.kind.kind)
        patch = Pointer(writer.temporary(kind, (0, 1)).buffer, is_written=True)
    writer.call(
        "ql_sum_pool",
        f"&{found}",
        Pointer(x.buffer),
        stored,
        places=places,
        work=work,
        patch=patch,
    )


def max_pool(operation: MaxPool, writer: Writer) -> None:
    """Append the call of a pooling that takes the largest."""
    x = writer.ordered(operation.inputs[0])
    to = writer.new(operation.output, channels_last(x.kind.shape))
    found = writer.structure("ql_pool", "pool", _sizes(operation, writer))
    writer.runtime |= {"max_pool", "load_row", "store_row"}
    arguments = (f"&{found}", Pointer(x.buffer), Pointer(to.buffer, is_written=True))
    gap = window_gap(operation.windows, _places(x), _places(to))
    over = {to.buffer: {x.buffer: replace(gap, backward=None)}}
    work = _work(operation, x, writer)
    writer.call("ql_max_pool", *arguments, over=over, is_directed=False, work=work)
    writer.keep(operation.output)


def _work(operation: Operation, x: Placed, writer: Writer) -> Work:
    """Return the work of a pooling: a sum is done channel by channel if its rows are too much."""
    result = writer.program.types[operation.output].shape
    element = np.dtype(x.kind.kind.dtype).itemsize
    if isinstance(operation, AdaptiveSumPool):
        # A window begins where those before it end: rows cannot be taken out.
        form = None
        steps = [divmod(x.kind.shape[axis], result[axis]) for axis in (1, 2)]
        num_taken = prod(size + 2 * (rest > 0) for size, rest in steps)
    else:
        assert isinstance(operation, MaxPool | SumPool)
        form = "tile_max_pool" if isinstance(operation, MaxPool) else "tile_sum_pool"
        num_taken = prod(operation.windows.kernel)
    work = pool_work(num_taken, result, element, form)
    power = writer.power
    if power is None or isinstance(operation, MaxPool):
        return work
    if is_one_tile(work.instructions / work.rows, power):
        return work
    cut = channel_work(num_taken, result, x.kind.shape, element, power)
    return cut if cut.together < cut.rows else work


def _places(x: Placed) -> Places:
    channels, rows, columns = x.kind.shape
    return Places(rows=rows, columns=columns, size=channels * np.dtype(x.kind.kind.dtype).itemsize)


def _sizes(operation: Operation, writer: Writer) -> dict[str, Any]:
    given, result = (writer.program.types[n] for n in (*operation.inputs, operation.output))
    channels, rows, columns = given.shape
    fields: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "result_rows": result.shape[1],
        "result_columns": result.shape[2],
        "type": c_type(given),
    }
    if isinstance(operation, AdaptiveSumPool):
        fields |= {"dilation_rows": 1, "dilation_columns": 1, "is_adaptive": 1}
    else:
        assert isinstance(operation, MaxPool | SumPool)
        fields |= _of_windows(operation.windows)
    check_sizes(operation, {name: size for name, size in fields.items() if name != "type"})
    return fields


def _of_windows(windows: Windows) -> dict[str, int]:
    return {
        "kernel_rows": windows.kernel[0],
        "kernel_columns": windows.kernel[1],
        "stride_rows": windows.stride[0],
        "stride_columns": windows.stride[1],
        "dilation_rows": windows.dilation[0],
        "dilation_columns": windows.dilation[1],
        "top": windows.padding[0],
        "left": windows.padding[1],
    }
