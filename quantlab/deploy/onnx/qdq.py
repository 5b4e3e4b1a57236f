"""The QDQ dialect: a program as a float model that quantizes and dequantizes every tensor of codes.

Other tools (onnxruntime, OpenVINO, TensorRT, ...) fuse such models into kernels of their own. Each
tensor of the program has a float one of its name: scale * integer + offset, in float32. A tensor of
codes is that between `QuantizeLinear` and `DequantizeLinear`, as `program.reals` says. An
accumulator is the real number that the first operation to rescale it makes of it, or to compare it
(`program.rounded`), so that batch norms are part of weights and biases; for other readers an affine
stands in front.

Codes may differ by one from the program's where a number lies almost on a tie: floats have 24 bits,
`QuantizeLinear` rounds ties to even and not up, and a bias in int32 is a multiple of the
accumulator's step. A tensor of 32 bits is not rounded at all.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from quantlab.deploy.onnx.qdq_writer import (
    SAME_FACTOR,
    SAME_OFFSET,
    THEMSELVES,
    Writer,
    before_rounding,
    ratio,
)
from quantlab.deploy.onnx.thresholds import rounded_range
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
    Windows,
)
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S32

Reals = NDArray[np.float64]


def qdq_model(program: Program) -> onnx.ModelProto:
    """Return the program as a float model that `onnx.checker` passes.

    Inputs are the program's integers. Outputs are the real numbers that the program's stand for, or
    the integers as floats where nothing is known of them, under their names; of an input that is an
    output too, under its name and `.reals`.
    """
    writer = Writer(program)
    for operation in program.operations:
        emit(operation, writer)
    return writer.model()


@singledispatch
def emit(operation: Operation, writer: Writer) -> None:
    """Append the nodes of an operation."""
    raise TypeError(f"{type(operation).__name__}: not an operation of integer programs")


@emit.register
def _(operation: Convolution, writer: Writer) -> None:
    x, given = writer.even(operation.inputs[0])
    x, pads = _around(writer, operation, x, given, operation.padding_codes)
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


@emit.register
def _(operation: Linear, writer: Writer) -> None:
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
        writer, f"{operation.output}.weight", codes + 128, step_O / input_scale, np.uint8, 128
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
    writer: Writer, name: str, codes: NDArray[Any], scale_O: Reals, dtype: type[np.integer], zero: int = 0
) -> str:
    """Append a constant as codes with a scale for each output."""
    graph = writer.graph
    numbers = (
        graph.constant(name, codes, dtype),
        graph.constant(f"{name}.scale", scale_O, np.float32),
        graph.constant(f"{name}.zero_point", np.full(len(scale_O), zero), dtype),
    )
    return graph.node("DequantizeLinear", *numbers, to=f"{name}.reals", axis=0)


def _around(
    writer: Writer, operation: Any, x: str, given: Reading, codes: NDArray[Any]
) -> tuple[str, list[int]]:
    """Return a layer's input and its padding; where the code beyond the border is not that of 0,
    the input with it around, and no padding. codes: `[C]`."""
    windows: Windows = operation.windows
    tensor = operation.inputs[0]
    channels, height, width = writer.program.types[tensor].shape
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(height, width)
    bottom, right = bottom + below, right + beside
    border_C = given(codes)
    is_small = max(top, bottom) < windows.kernel[0] and max(left, right) < windows.kernel[1]
    if np.abs(border_C).max() <= 1e-6 * float(given.scale) and is_small:
        return x, [top, left, bottom, right]
    pads = writer.graph.number([0, 0, top, left, 0, 0, bottom, right])
    padded = writer.graph.node("Pad", x, pads)
    border = np.zeros((channels, top + height + bottom, left + width + right))
    border += border_C[:, None, None]
    border[:, top : top + height, left : left + width] = 0
    if border.any():
        padded = writer.graph.node("Add", padded, writer.number(border))
    is_of_codes = x == writer.floats[tensor] and tensor in writer.codes
    return (writer.again(tensor, padded) if is_of_codes else padded), [0, 0, 0, 0]


@emit.register
def _(operation: Rescale, writer: Writer) -> None:
    grid, total = writer.grid(operation.output), ""
    scales, constant = before_rounding(operation, grid)
    for name, scale in zip(operation.inputs, scales, strict=True):
        part, given = writer.floats[name], writer.readings[name]
        off = np.abs(scale - given.scale)
        most = np.maximum(
            SAME_FACTOR * np.abs(scale), SAME_OFFSET * grid.scale / writer.reach(name)
        )
        factor = np.array(1.0)
        if not (off <= most).all():
            factor = ratio(scale, given.scale)
            part = writer.graph.node("Mul", part, writer.number(factor))
        constant = constant - factor * given.offset
        total = writer.graph.node("Add", total, part) if total else part
    if (np.abs(constant) > SAME_OFFSET * grid.scale).any():
        total = writer.graph.node("Add", total, writer.number(constant))
    total = writer.clip(operation.output, total, operation.low, operation.high)
    writer.quantize(operation.output, total)


@emit.register
def _(operation: Multiply, writer: Writer) -> None:
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


@emit.register
def _(operation: Reshape, writer: Writer) -> None:
    shape = [0, *operation.shape] if 0 not in operation.shape else operation.shape
    _moved(writer, operation, "Reshape", [writer.graph.number(shape)])


@emit.register
def _(operation: Permute, writer: Writer) -> None:
    _moved(writer, operation, "Transpose", perm=[0, *(axis + 1 for axis in operation.axes)])


@emit.register
def _(operation: Slice, writer: Writer) -> None:
    numbers = (operation.start, operation.stop, operation.axis + 1, operation.step)
    _moved(writer, operation, "Slice", [writer.graph.number([number]) for number in numbers])


@emit.register
def _(operation: Concatenate, writer: Writer) -> None:
    _moved(writer, operation, "Concat", axis=operation.axis + 1)


@emit.register
def _(operation: MaxPool, writer: Writer) -> None:
    windows = operation.windows
    given = writer.program.types[operation.inputs[0]]
    below, beside = windows.overhang(*given.shape[1:])
    top, left, bottom, right = windows.padding
    pads = [top, left, bottom + below, right + beside]
    _moved(
        writer, operation, "MaxPool", kernel_shape=windows.kernel, strides=windows.stride,
        dilations=windows.dilation, pads=pads,
    )  # fmt: skip


def _moved(
    writer: Writer,
    operation: Operation,
    kind: str,
    constants: Sequence[str] = (),
    **attributes: Any,
) -> None:
    """Append a node that does to floats what the operation does to integers, all in one scale."""
    output = operation.output
    is_of_codes = writer.program.types[output].kind != S32
    reading = writer.grid(output) if is_of_codes else writer.even(operation.inputs[0])[1]
    sources = [writer.converted(name, reading) for name in operation.inputs]
    name = None if is_of_codes else writer.name(output, reading)
    floats = writer.graph.node(kind, *sources, *constants, to=name, **attributes)
    if is_of_codes:
        writer.quantize(output, floats)
    else:
        writer.keep(output, floats, reading)


@emit.register
def _(operation: SumPool, writer: Writer) -> None:
    windows = operation.windows
    x, given = writer.even(operation.inputs[0])
    codes = np.full(writer.program.types[operation.inputs[0]].shape[0], operation.padding_code)
    x, pads = _around(writer, operation, x, given, codes)
    count = windows.kernel[0] * windows.kernel[1]
    reading = Reading(scale=given.scale / count, offset=given.offset)
    floats = writer.graph.node(
        "AveragePool", x,
        to=writer.name(operation.output, reading),
        kernel_shape=windows.kernel, strides=windows.stride, dilations=windows.dilation, pads=pads,
        count_include_pad=1,
    )  # fmt: skip
    writer.keep(operation.output, floats, reading)


@emit.register
def _(operation: AdaptiveSumPool, writer: Writer) -> None:
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


@emit.register
def _(operation: Lookup, writer: Writer) -> None:
    (name,) = operation.inputs
    index = writer.graph.cast(writer.codes[name], np.int32)
    least = writer.program.types[name].kind.minimum
    if least:
        index = writer.graph.node("Sub", index, writer.graph.number(least, np.int32))
    reals = writer.grid(operation.output)(operation.table)
    table = writer.graph.constant(f"{operation.output}.table", reals, np.float32)
    writer.quantize(operation.output, writer.graph.node("Gather", table, index, axis=0))


@emit.register
def _(operation: Threshold, writer: Writer) -> None:
    """Rounded where that gives the same codes, else compared."""
    (name,) = operation.inputs
    x, given, grid = writer.floats[name], writer.readings[name], writer.grid(operation.output)
    num_axes, reach = len(writer.program.types[name].shape), writer.reach(name)
    for reading in (given, writer.program.rounded.get(operation.output, given)):
        ends = rounded_range(operation, reading, grid, num_axes=num_axes, reach=reach)
        if ends is not None:
            x = writer.clip(operation.output, writer.converted(name, reading), *ends)
            writer.quantize(operation.output, x)
            return
    axes = (-1,) + (1,) * (num_axes - 1)
    signs = operation.signs.reshape(axes)
    is_falling = signs * given.scale < 0
    if is_falling.any():
        x = writer.graph.node("Mul", x, writer.number(np.where(is_falling, -1.0, 1.0)))
    code, level = np.array(operation.low), writer.number(grid(np.array(operation.low)))
    for threshold in operation.thresholds.T:
        # Half a step below the threshold, where no integer lies.
        least = given(signs * (threshold.reshape(axes) - 0.5)) * np.where(is_falling, -1.0, 1.0)
        is_reached = writer.graph.node("GreaterOrEqual", x, writer.number(least))
        code = code + operation.step
        level = writer.graph.node("Where", is_reached, writer.number(grid(code)), level)
    writer.quantize(operation.output, level)


@emit.register
def _(operation: ArgMax, writer: Writer) -> None:
    x, _ = writer.even(operation.inputs[0])
    found = writer.graph.node("ArgMax", x, axis=operation.axis + 1, keepdims=0)
    name = writer.name(operation.output, THEMSELVES)
    floats = writer.graph.cast(found, np.float32, to=name)
    writer.keep(operation.output, floats, THEMSELVES)
