"""Sums of products, and products of two tensors."""

import numpy as np

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.exact.writer import Writer, window_attributes
from quantlab.integer.operations import Convolution, Linear, Multiply


def convolution(operation: Convolution, writer: Writer) -> None:
    graph, output = writer.graph, operation.output
    (given,) = writer.types(operation)
    x = writer.padded(operation.inputs[0], given, operation.windows, operation.padding_codes)
    weight = writer.signed_bytes(f"{output}.weight", operation.weight)
    attributes = window_attributes(operation.windows, operation.groups)
    total = writer.sums_of_products("ConvInteger", x, given, weight, **attributes)
    bias = graph.constant(f"{output}.bias", operation.bias.reshape(1, -1, 1, 1), np.int32)
    graph.node("Add", total, bias, to=output)


def linear(operation: Linear, writer: Writer) -> None:
    (x,), (given,) = operation.inputs, writer.types(operation)
    weight = writer.signed_bytes(f"{operation.output}.weight", operation.weight.T)
    total = writer.sums_of_products("MatMulInteger", x, given, weight)
    bias = writer.graph.constant(f"{operation.output}.bias", operation.bias, np.int32)
    writer.graph.node("Add", total, bias, to=operation.output)


def multiply(operation: Multiply, writer: Writer) -> None:
    graph = writer.graph
    zeros = (operation.left_zero, operation.right_zero)
    sides = [
        graph.node("Sub", graph.cast(x, np.int32), graph.number(zero, np.int32))
        for x, zero in zip(operation.inputs, zeros, strict=True)
    ]
    graph.node("Mul", *sides, to=operation.output)


EMITTERS: Emitters = {
    Convolution: convolution,
    Linear: linear,
    Multiply: multiply,
}
