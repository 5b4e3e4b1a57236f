"""The exact dialect: a program in ONNX that gives the same integers in onnxruntime.

Made of operators that onnxruntime computes exactly on every processor: `ConvInteger` and
`MatMulInteger` for sums of products, int64 for rescaling. The rest is composed:

* Factors of products are unsigned bytes, signed ones with the zero point 128. Where a processor has
  AVX2 but no VNNI, onnxruntime adds two products of a signed and an unsigned byte in 16 bits, and
  saturates: in `MatMulInteger` of u8 x s8, in `ConvInteger` of s8 x u8 (1.32). Those of two unsigned
  bytes are widened first.
* Rounding down after the shift: (t - t mod 2^S) / 2^S, since `Div` rounds towards zero, `Mod` down,
  and `BitShift` knows no sign.
* Clamping in int32, after the division: on int64, `Min`, `Max` and `Clip` give 0 for numbers from
  2^31 to 2^32 (onnxruntime up to 1.32 at least). Where the quotient may not fit in 32 bits,
  comparisons and `Where` come first.
* Tensors of 16 bits, which `ConvInteger` does not take: their two bytes separately.

Every tensor of the program is an output of the model, so that all can be compared.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from quantlab.deploy.onnx.graph import Graph
from quantlab.integer.bounds import Bound
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
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S32, U8, TensorType

_ZERO_OF_SIGNED = 128


def exact_model(program: Program) -> onnx.ModelProto:
    """Return the program as a model that `onnx.checker` passes, all its tensors as outputs."""
    graph = Graph("quantlab")
    for operation in program.operations:
        types = [program.types[name] for name in operation.inputs]
        bounds = [program.bounds[name] for name in operation.inputs]
        emit(operation, graph, types, bounds)
    outputs = {o.output: program.types[o.output] for o in program.operations}
    return graph.model(dict(program.inputs), outputs)


@singledispatch
def emit(
    operation: Operation, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    """Append the nodes of an operation; the last one's output is the operation's."""
    raise TypeError(f"{type(operation).__name__}: not an operation of integer programs")


@emit.register
def _(
    operation: Convolution, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    windows = operation.windows
    x = _padded(graph, operation.inputs[0], types[0], windows, operation.padding_codes)
    weight = _signed_bytes(graph, f"{operation.output}.weight", operation.weight)
    total = _sums_of_products(
        graph, "ConvInteger", x, types[0], weight, **_attributes(windows, operation.groups)
    )
    bias = graph.constant(f"{operation.output}.bias", operation.bias.reshape(1, -1, 1, 1), np.int32)
    graph.node("Add", total, bias, to=operation.output)


@emit.register
def _(
    operation: Linear, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    weight = _signed_bytes(graph, f"{operation.output}.weight", operation.weight.T)
    total = _sums_of_products(graph, "MatMulInteger", operation.inputs[0], types[0], weight)
    bias = graph.constant(f"{operation.output}.bias", operation.bias, np.int32)
    graph.node("Add", total, bias, to=operation.output)


def _attributes(windows: Windows, groups: int) -> dict[str, Any]:
    return {
        "strides": windows.stride,
        "dilations": windows.dilation,
        "group": groups,
        "kernel_shape": windows.kernel,
    }


def _signed_bytes(graph: Graph, name: str, values: NDArray[Any]) -> str:
    """Add a constant of signed bytes, stored unsigned with the zero point 128."""
    return graph.constant(name, values.astype(np.int16) + _ZERO_OF_SIGNED, np.uint8)


def _sums_of_products(
    graph: Graph, kind: str, x: str, given: TensorType, weight: str, **attributes: Any
) -> str:
    """Return the sums, in int32, of products of x and a weight of `_signed_bytes`.

    Of a tensor of 16 bits: 256 times those of its upper byte, and those of its lower.
    """

    def sums(part: str, zero: int) -> str:
        zeros = (graph.number(number, np.uint8) for number in (zero, _ZERO_OF_SIGNED))
        return graph.node(kind, part, weight, *zeros, **attributes)

    def signed(part: str) -> str:
        moved = graph.node("Add", part, graph.number(_ZERO_OF_SIGNED, np.int32))
        return sums(graph.cast(moved, np.uint8), _ZERO_OF_SIGNED)

    if given.kind == U8:
        return sums(x, 0)
    wide = graph.cast(x, np.int32)
    if given.kind == S8:
        return signed(wide)
    byte = graph.number(256, np.int32)
    low = graph.node("Mod", wide, byte)
    upper = signed(graph.node("Div", graph.node("Sub", wide, low), byte))
    lower = sums(graph.cast(low, np.uint8), 0)
    return graph.node("Add", graph.node("Mul", upper, byte), lower)


def _padded(graph: Graph, x: str, given: TensorType, windows: Windows, codes: NDArray[Any]) -> str:
    """Return x with each channel's code around it."""
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(*given.shape[1:])
    pads = [0, 0, top, left, 0, 0, bottom + below, right + beside]
    if not any(pads):
        return x
    wide = graph.cast(x, np.int32)
    if len(set(codes.tolist())) == 1:
        around = graph.node("Pad", wide, graph.number(pads), graph.number(int(codes[0]), np.int32))
        return graph.cast(around, given.kind.dtype)
    channels, height, width = given.shape
    border = np.broadcast_to(
        codes.reshape(-1, 1, 1),
        (channels, top + height + bottom + below, left + width + right + beside),
    ).copy()
    border[:, top : top + height, left : left + width] = 0
    around = graph.node("Pad", wide, graph.number(pads), graph.number(0, np.int32))
    return graph.cast(graph.node("Add", around, graph.number(border, np.int32)), given.kind.dtype)


@emit.register
def _(
    operation: Rescale, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    total = graph.constant(f"{operation.output}.offset", operation.offset, np.int64)
    names = [name for name in operation.constants() if "multiplier" in name]
    for x, name, multiplier in zip(operation.inputs, names, operation.multipliers, strict=True):
        factor = graph.constant(f"{operation.output}.{name}", multiplier, np.int64)
        total = graph.node("Add", graph.node("Mul", graph.cast(x, np.int64), factor), total)
    divisor = graph.constant(
        f"{operation.output}.divisor", np.left_shift(np.int64(1), operation.shift), np.int64
    )
    whole = graph.node("Sub", total, graph.node("Mod", total, divisor))
    quotient = graph.node("Div", whole, divisor)
    low, high = _quotient_ends(operation, bounds)
    if low < S32.minimum or high > S32.maximum:
        for limit, is_beyond in ((operation.low, "Less"), (operation.high, "Greater")):
            end = graph.number(limit)
            beyond = graph.node(is_beyond, quotient, end)
            quotient = graph.node("Where", beyond, end, quotient)
    narrow = graph.cast(quotient, np.int32)
    ends = (graph.number(end, np.int32) for end in (operation.low, operation.high))
    clipped = graph.node("Clip", narrow, *ends)
    graph.cast(clipped, operation.kind.dtype, to=operation.output)


def _quotient_ends(operation: Rescale, bounds: Sequence[Bound]) -> tuple[int, int]:
    """Return what lies between before it is clamped."""
    low = high = operation.offset.astype(np.float64)
    for bound, multiplier in zip(bounds, operation.multipliers, strict=True):
        ends = [multiplier * float(end) for end in (bound.lowest, bound.highest)]
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    scale = np.ldexp(1.0, -operation.shift)
    return int(np.floor((low * scale).min())) - 1, int(np.ceil((high * scale).max())) + 1


@emit.register
def _(
    operation: Multiply, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    zeros = (operation.left_zero, operation.right_zero)
    sides = [
        graph.node("Sub", graph.cast(x, np.int32), graph.number(zero, np.int32))
        for x, zero in zip(operation.inputs, zeros, strict=True)
    ]
    graph.node("Mul", *sides, to=operation.output)


@emit.register
def _(
    operation: Reshape, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    shape = graph.number([0, *operation.shape] if 0 not in operation.shape else operation.shape)
    graph.node("Reshape", operation.inputs[0], shape, to=operation.output)


@emit.register
def _(
    operation: Permute, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    axes = [0, *(axis + 1 for axis in operation.axes)]
    graph.node("Transpose", operation.inputs[0], to=operation.output, perm=axes)


@emit.register
def _(operation: Slice, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]) -> None:
    numbers = (operation.start, operation.stop, operation.axis + 1, operation.step)
    arguments = (graph.number([number]) for number in numbers)
    graph.node("Slice", operation.inputs[0], *arguments, to=operation.output)


@emit.register
def _(
    operation: Concatenate, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    graph.node("Concat", *operation.inputs, to=operation.output, axis=operation.axis + 1)


@emit.register
def _(
    operation: MaxPool, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    windows, given = operation.windows, types[0]
    lowest = np.full(given.shape[0], given.kind.minimum)
    x = _padded(graph, operation.inputs[0], given, windows, lowest)
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


@emit.register
def _(
    operation: SumPool, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    windows, given = operation.windows, types[0]
    channels = given.shape[0]
    x = _padded(
        graph, operation.inputs[0], given, windows, np.full(channels, operation.padding_code)
    )
    ones = _signed_bytes(
        graph, f"{operation.output}.ones", np.ones((channels, 1, *windows.kernel), np.int8)
    )
    total = _sums_of_products(
        graph, "ConvInteger", x, given, ones, **_attributes(windows, channels)
    )
    graph.cast(total, np.int32, to=operation.output)


@emit.register
def _(
    operation: AdaptiveSumPool, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    x = graph.cast(operation.inputs[0], np.int32)
    rows, columns = (
        _members(size, count)
        for size, count in zip(types[0].shape[1:], operation.size, strict=True)
    )
    down = graph.node("MatMul", graph.number(rows, np.int32), x)
    graph.node("MatMul", down, graph.number(columns.T, np.int32), to=operation.output)


def _members(size: int, count: int) -> NDArray[Any]:
    """Return which numbers are in each window, `[count, size]` of 0 and 1."""
    found = np.zeros((count, size), np.int32)
    for row, (start, end) in enumerate(adaptive_ends(size, count)):
        found[row, start:end] = 1
    return found


@emit.register
def _(
    operation: Lookup, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    wide = graph.cast(operation.inputs[0], np.int32)
    index = graph.node("Sub", wide, graph.number(types[0].kind.minimum, np.int32))
    table = graph.constant(f"{operation.output}.table", operation.table, operation.kind.dtype)
    graph.node("Gather", table, index, to=operation.output, axis=0)


@emit.register
def _(
    operation: Threshold, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    axes = (-1,) + (1,) * (len(types[0].shape) - 1)
    signs = graph.constant(f"{operation.output}.signs", operation.signs.reshape(axes), np.int64)
    x = graph.node("Mul", graph.cast(operation.inputs[0], np.int64), signs)
    total = graph.number(operation.low, np.int32)
    for number, threshold in enumerate(operation.thresholds.T):
        name = f"{operation.output}.thresholds.{number}"
        least = graph.constant(name, threshold.reshape(axes), np.int64)
        is_reached = graph.cast(graph.node("GreaterOrEqual", x, least), np.int32)
        step = graph.node("Mul", is_reached, graph.number(operation.step, np.int32))
        total = graph.node("Add", total, step)
    graph.cast(total, operation.kind.dtype, to=operation.output)


@emit.register
def _(
    operation: ArgMax, graph: Graph, types: Sequence[TensorType], bounds: Sequence[Bound]
) -> None:
    x = graph.cast(operation.inputs[0], np.int32)
    found = graph.node("ArgMax", x, axis=operation.axis + 1, keepdims=0)
    graph.cast(found, np.int32, to=operation.output)
