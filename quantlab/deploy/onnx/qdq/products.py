"""Sums of products, and products of two tensors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.qdq.padding import around
from quantlab.deploy.onnx.qdq.writer import Reals, Writer
from quantlab.integer.operations import Convolution, Linear, Multiply
from quantlab.integer.program import Reading

_ZERO_OF_WEIGHTS = 128


def convolution(operation: Convolution, writer: Writer) -> None:
    x, given = writer.even(operation.inputs[0])
    x, pads = around(writer, operation, x, given, operation.padding_codes)
    shape = (len(operation.weight), 1, 1)
    reading = writer.accumulator(operation.output, float(given.scale), shape)
    reading, weight, bias = _parameters(writer, operation, given, reading)
    floats = writer.graph.node(
        "Conv", x, weight, bias,
        to=writer.name(operation.output, reading),
        kernel_shape=operation.windows.kernel, strides=operation.windows.stride,
        dilations=operation.windows.dilation, pads=pads, group=operation.groups,
    )  # fmt: skip
    writer.keep(operation.output, floats, reading)


def linear(operation: Linear, writer: Writer) -> None:
    x, given = writer.even(operation.inputs[0])
    shape = (len(operation.weight),)
    reading = writer.accumulator(operation.output, float(given.scale), shape)
    reading, weight, bias = _parameters(writer, operation, given, reading)
    name = writer.name(operation.output, reading)
    if len(writer.program.types[operation.inputs[0]].shape) == 1:
        floats = writer.graph.node("Gemm", x, weight, bias, to=name, transB=1)
    else:
        turned = writer.graph.node("Transpose", weight, perm=[1, 0])
        floats = writer.graph.node("Add", writer.graph.node("MatMul", x, turned), bias, to=name)
    writer.keep(operation.output, floats, reading)


def _parameters(
    writer: Writer, operation: Convolution | Linear, given: Reading, reading: Reading
) -> tuple[Reading, str, str]:
    """Append a layer's weight and bias, in which both readings are, and return the one of its sums
    with the two.

    Weights are int8 with a positive scale for each output: of a negative one the codes are negated.
    Where that cannot be, since one is -128, the sums are read with a positive scale. A bias is a
    whole number of the sums' steps, as integer kernels have it; what is left of it is for those
    that read the sums, unless it is next to nothing for them.
    """
    scale_O, offset_O = reading.scale.reshape(-1), reading.offset.reshape(-1)
    weight_OI = operation.weight.reshape(len(scale_O), -1).astype(np.int64)
    is_stuck_O = (scale_O < 0) & (weight_OI == -128).any(1)
    scale_O = np.where(is_stuck_O, -scale_O, scale_O)
    offset_O = np.where(is_stuck_O, 0.0, offset_O)
    input_scale, zero = float(given.scale), -given.offset / given.scale
    bias_O = scale_O * (operation.bias + zero * weight_OI.sum(1)) + offset_O
    fine_O = np.abs(bias_O) / 2**24  # where a layer is nothing but its bias
    step_O = np.where(scale_O == 0, np.where(fine_O == 0, 1.0, fine_O), np.abs(scale_O))
    codes = (weight_OI * np.sign(scale_O).astype(np.int64)[:, None]).reshape(operation.weight.shape)
    weight = _dequantized(
        writer,
        f"{operation.output}.weight",
        codes + _ZERO_OF_WEIGHTS,
        step_O / input_scale,
        np.uint8,
        _ZERO_OF_WEIGHTS,
    )
    room = 2.0**31 - 2 * writer.reach(operation.output) - 1
    whole_O = np.rint(np.clip(bias_O / step_O, -room, room))
    bias = _dequantized(writer, f"{operation.output}.bias", whole_O, step_O, np.int32)
    rest_O = whole_O * step_O - bias_O
    if np.abs(rest_O / step_O).max() > writer.allowed_rounding(operation.output):
        offset_O = offset_O + rest_O
    shape = reading.scale.shape
    return Reading(scale=scale_O.reshape(shape), offset=offset_O.reshape(shape)), weight, bias


def _dequantized(
    writer: Writer,
    name: str,
    codes: NDArray[Any],
    scale_O: Reals,
    dtype: type[np.integer],
    zero: int = 0,
) -> str:
    """Append a constant as codes with a scale for each output."""
    graph = writer.graph
    numbers = (
        graph.constant(name, codes, dtype),
        graph.constant(f"{name}.scale", scale_O, np.float32),
        graph.constant(f"{name}.zero_point", np.full(len(scale_O), zero), dtype),
    )
    return graph.node("DequantizeLinear", *numbers, to=f"{name}.reals", axis=0)


def multiply(operation: Multiply, writer: Writer) -> None:
    sides, scale = [], np.array(1.0)
    zeros = (operation.left_zero, operation.right_zero)
    for name, zero in zip(operation.inputs, zeros, strict=True):
        _, given = writer.even(name)
        wanted = Reading(scale=given.scale, offset=-zero * given.scale)
        sides.append(writer.converted(name, wanted))
        scale = scale * given.scale
    reading = Reading(scale=scale, offset=np.array(0.0))
    floats = writer.graph.node("Mul", *sides, to=writer.name(operation.output, reading))
    writer.keep(operation.output, floats, reading)


EMITTERS: Emitters = {
    Convolution: convolution,
    Linear: linear,
    Multiply: multiply,
}
