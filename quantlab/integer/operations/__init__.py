"""The operations of integer programs, one kind a file."""

from quantlab.integer.operations.add import Add
from quantlab.integer.operations.argmax import ArgMax
from quantlab.integer.operations.convolution import Convolution
from quantlab.integer.operations.linear import Linear
from quantlab.integer.operations.lookup import Lookup
from quantlab.integer.operations.multiply import Multiply
from quantlab.integer.operations.operation import Operation
from quantlab.integer.operations.pooling import AdaptiveSumPool, MaxPool, SumPool
from quantlab.integer.operations.requantize import Requantize
from quantlab.integer.operations.shapes import Concatenate, Permute, Reshape, Slice
from quantlab.integer.operations.threshold import Threshold
from quantlab.integer.operations.windows import Windows

OPERATIONS: dict[str, type[Operation]] = {
    cls.__name__: cls
    for cls in (
        Add,
        AdaptiveSumPool,
        ArgMax,
        Concatenate,
        Convolution,
        Linear,
        Lookup,
        MaxPool,
        Multiply,
        Permute,
        Requantize,
        Reshape,
        Slice,
        SumPool,
        Threshold,
    )
}

__all__ = [
    "OPERATIONS",
    "AdaptiveSumPool",
    "Add",
    "ArgMax",
    "Concatenate",
    "Convolution",
    "Linear",
    "Lookup",
    "MaxPool",
    "Multiply",
    "Operation",
    "Permute",
    "Requantize",
    "Reshape",
    "Slice",
    "SumPool",
    "Threshold",
    "Windows",
]
