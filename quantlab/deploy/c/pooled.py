"""Maxima of windows, taken of what is made of a layer's sums while it is made.

Only the pooled image is stored: the first code of a window is written, each other one over it if it
is larger. Windows that overlap would need what they share once more; they are a step of their own.
"""

from quantlab.deploy.c.writer import Writer
from quantlab.integer.operations import Convolution, MaxPool, Operation
from quantlab.integer.program import Program


def can_pool(pooling: MaxPool, source: Operation, program: Program) -> bool:
    """Return whether maxima are taken of what is made of a convolution while it is made: windows
    lie within the image and do not overlap."""
    windows = pooling.windows
    _, *size = program.types[pooling.inputs[0]].shape
    return (
        isinstance(source, Convolution)
        and all(step >= edge for step, edge in zip(windows.stride, windows.kernel, strict=True))
        and windows.dilation == (1, 1)
        and not any(windows.padding)
        and windows.overhang(size[0], size[1]) == (0, 0)
    )


def define_pooling(pooling: MaxPool, function: str, writer: Writer) -> str:
    """Define how what is made of sums is pooled; return a pointer to it.

    function: that pools a row of it.
    """
    channels, _, columns = writer.program.types[pooling.inputs[0]].shape
    _, rows, result_columns = writer.program.types[pooling.output].shape
    windows = pooling.windows
    fields = {
        "function": f"ql_{function}",
        "columns": columns,
        "channels": channels,
        "result_rows": rows,
        "result_columns": result_columns,
        "kernel_rows": windows.kernel[0],
        "kernel_columns": windows.kernel[1],
        "stride_rows": windows.stride[0],
        "stride_columns": windows.stride[1],
    }
    writer.runtime |= {function, "find_pooled"}
    return f"&{writer.structure('ql_pooling', 'pooling', fields)}"
