"""Pooling."""

from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.writer import Pointer, Writer, c_type
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool


def pool(operation: AdaptiveSumPool | MaxPool | SumPool, writer: Writer) -> None:
    x = writer.ordered(operation.inputs[0])
    kind = writer.program.types[operation.output]
    channels, rows, columns = x.kind.shape
    to = writer.new(operation.output, channels_last(kind.shape))
    fields: dict[str, int | str] = {
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "result_rows": kind.shape[1],
        "result_columns": kind.shape[2],
        "type": c_type(x.kind),
    }
    if isinstance(operation, AdaptiveSumPool):
        fields |= {"dilation_rows": 1, "dilation_columns": 1, "is_adaptive": 1}
    else:
        windows = operation.windows
        fields |= {
            "kernel_rows": windows.kernel[0],
            "kernel_columns": windows.kernel[1],
            "stride_rows": windows.stride[0],
            "stride_columns": windows.stride[1],
            "dilation_rows": windows.dilation[0],
            "dilation_columns": windows.dilation[1],
            "top": windows.padding[0],
            "left": windows.padding[1],
        }
    if isinstance(operation, SumPool):
        fields["padding"] = operation.padding_code
    function = "max_pool" if isinstance(operation, MaxPool) else "sum_pool"
    found = writer.structure("ql_pool", "pool", fields)
    writer.runtime |= {function, "load_row"}
    writer.runtime |= {"store_row"} if function == "max_pool" else set()
    writer.call(
        f"ql_{function}", f"&{found}", Pointer(x.buffer), Pointer(to.buffer, is_written=True)
    )
    writer.keep(operation.output)


EMITTERS: Emitters = dict.fromkeys((AdaptiveSumPool, MaxPool, SumPool), pool)
