"""Which nodes an operation becomes."""

from functools import singledispatch

from quantlab.deploy.onnx.qdq import pooling, products, rescaling, shapes
from quantlab.deploy.onnx.qdq.writer import Writer
from quantlab.integer.operations import (
    AdaptiveSumPool,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Reshape,
    Slice,
    SumPool,
    Threshold,
)
from quantlab.integer.operations.rescale import Rescale


@singledispatch
def emit(operation: Operation, writer: Writer) -> None:
    """Append the nodes of an operation; the last one's output is the operation's real number.

    Raises UsageError, with the layer, for an operation that has none.
    """
    operation.refuse(f"{type(operation).__name__} for ONNX with QDQ", "operations with nodes")


emit.register(Convolution, products.convolution)
emit.register(Linear, products.linear)
emit.register(Multiply, products.multiply)
emit.register(Rescale, rescaling.rescale)
emit.register(Threshold, rescaling.threshold)
emit.register(Lookup, rescaling.lookup)
emit.register(ArgMax, rescaling.argmax)
emit.register(MaxPool, pooling.max_pool)
emit.register(SumPool, pooling.sum_pool)
emit.register(AdaptiveSumPool, pooling.adaptive_sum_pool)
emit.register(Reshape, shapes.reshape)
emit.register(Permute, shapes.permute)
emit.register(Slice, shapes.slice_)
emit.register(Concatenate, shapes.concatenate)
