"""The meaning of integer programs, in NumPy.

Every other engine has to give these integers. Sums of products are computed in float64, where they
are exact: `bounds` has proven them to be below 2^31, and float64 holds all integers up to 2^53.
Everything else is computed in int64.

Shapes: N samples; then as the operations say.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from quantlab.errors import UsageError, check_kind
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

Integers = NDArray[Any]
_MOST_BYTES = 2**27  # of windows laid out at a time


def run(program: Program, inputs: Mapping[str, Integers]) -> dict[str, Integers]:
    """Return the outputs for a batch of each input, `[N, ...]`.

    Raises UsageError for inputs of another type or shape.
    """
    found = {name: value for name, value in execute(program, inputs) if name in program.outputs}
    found |= {name: inputs[name] for name in program.outputs if name in program.inputs}
    return found


def execute(program: Program, inputs: Mapping[str, Integers]) -> Iterator[tuple[str, Integers]]:
    """Yield the name and value of every tensor that an operation makes, in order."""
    check_inputs(program, inputs)
    values = dict(inputs)
    last_uses = program.last_uses
    for index, operation in enumerate(program.operations):
        kind = program.types[operation.output].kind
        value = compute(operation, [values[name] for name in operation.inputs])
        values[operation.output] = value.astype(kind.dtype, copy=False)
        yield operation.output, values[operation.output]
        for name in {*operation.inputs, operation.output}:
            if last_uses.get(name, index) <= index and name not in program.outputs:
                del values[name]


def check_inputs(program: Program, inputs: Mapping[str, Integers]) -> None:
    """Raise UsageError unless all inputs are there, in their types and shapes, for as many
    samples."""
    check_kind("program", program, Program, "a Program")
    if not isinstance(inputs, Mapping):
        allowed = ", ".join(program.inputs)
        raise UsageError(
            f"inputs: a {type(inputs).__name__} given, arrays by name allowed: {allowed}"
        )
    if set(inputs) != set(program.inputs):
        given = sorted(map(str, inputs))
        raise UsageError(f"inputs: {given} given, {sorted(program.inputs)} allowed")
    for name, wanted in program.inputs.items():
        value = inputs[name]
        check_kind(f"input '{name}'", value, np.ndarray, "a NumPy array")
        if not value.ndim or value.dtype != wanted.kind.dtype or value.shape[1:] != wanted.shape:
            raise UsageError(
                f"input '{name}': {value.dtype}{list(value.shape)} given, {wanted.kind} of "
                f"[N, {', '.join(map(str, wanted.shape))}] allowed"
            )
    counts = {name: len(value) for name, value in inputs.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"inputs: {counts} samples given, as many of each allowed")


@singledispatch
def compute(operation: Operation, inputs: Sequence[Integers]) -> Integers:
    """Return what an operation makes of its inputs, in its type or int64."""
    raise TypeError(f"{type(operation).__name__}: has no `compute` in quantlab.integer.interpreter")


@compute.register
def _(operation: Convolution, inputs: Sequence[Integers]) -> Integers:
    (x,) = inputs
    rows, columns = operation.windows.output_size(*x.shape[2:])
    weight = operation.weight.astype(np.float64)
    y = np.empty((len(x), len(weight), rows, columns), np.int32)
    a_sample = 8 * rows * columns * weight[0].size * operation.groups
    step = max(1, _MOST_BYTES // a_sample)
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        padded = pad(x[part].astype(np.float64), operation.windows, operation.padding_codes)
        windows = windows_of(padded, operation.windows)
        y[part] = _products(windows, weight, operation.groups) + operation.bias[:, None, None]
    return y


def _products(
    windows: NDArray[np.float64], weight: NDArray[np.float64], groups: int
) -> NDArray[np.float64]:
    """windows: [N, C, H', W', h, w]; weight: [O, C / groups, h, w]. Returns [N, O, H', W']."""
    count, channels, rows, columns, *_ = windows.shape
    if channels == groups:
        windows = np.repeat(windows, len(weight) // groups, axis=1)
        sums: NDArray[np.float64] = np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
        return sums
    parts = []
    for part, kernel in zip(
        np.split(windows, groups, axis=1), np.split(weight, groups), strict=True
    ):
        laid = part.transpose(0, 2, 3, 1, 4, 5).reshape(count * rows * columns, -1)
        product = laid @ kernel.reshape(len(kernel), -1).T
        parts.append(product.reshape(count, rows, columns, -1).transpose(0, 3, 1, 2))
    return np.concatenate(parts, axis=1)


@compute.register
def _(operation: Linear, inputs: Sequence[Integers]) -> Integers:
    product = inputs[0].astype(np.float64) @ operation.weight.astype(np.float64).T
    y: Integers = product.astype(np.int64) + operation.bias
    return y


@compute.register
def _(operation: Rescale, inputs: Sequence[Integers]) -> Integers:
    total: Integers = operation.offset
    for value, multiplier in zip(inputs, operation.multipliers, strict=True):
        total = total + value.astype(np.int64) * multiplier.astype(np.int64)
    return (total >> operation.shift).clip(operation.low, operation.high)


@compute.register
def _(operation: Multiply, inputs: Sequence[Integers]) -> Integers:
    left, right = (value.astype(np.int64) for value in inputs)
    product: Integers = (left - operation.left_zero) * (right - operation.right_zero)
    return product


@compute.register
def _(operation: Reshape, inputs: Sequence[Integers]) -> Integers:
    return inputs[0].reshape(len(inputs[0]), *operation.shape)


@compute.register
def _(operation: Permute, inputs: Sequence[Integers]) -> Integers:
    return inputs[0].transpose(0, *(axis + 1 for axis in operation.axes))


@compute.register
def _(operation: Slice, inputs: Sequence[Integers]) -> Integers:
    chosen = slice(operation.start, operation.stop, operation.step)
    return inputs[0][(slice(None),) * (operation.axis + 1) + (chosen,)]


@compute.register
def _(operation: Concatenate, inputs: Sequence[Integers]) -> Integers:
    return np.concatenate(inputs, axis=operation.axis + 1)


@compute.register
def _(operation: MaxPool, inputs: Sequence[Integers]) -> Integers:
    (x,) = inputs
    lowest = np.iinfo(x.dtype).min
    padded = pad(x, operation.windows, np.full(x.shape[1], lowest))
    largest: Integers = windows_of(padded, operation.windows).max((4, 5))
    return largest


@compute.register
def _(operation: SumPool, inputs: Sequence[Integers]) -> Integers:
    x = inputs[0].astype(np.int64)
    padded = pad(x, operation.windows, np.full(x.shape[1], operation.padding_code))
    total: Integers = windows_of(padded, operation.windows).sum((4, 5))
    return total


@compute.register
def _(operation: AdaptiveSumPool, inputs: Sequence[Integers]) -> Integers:
    x = inputs[0].astype(np.int64)
    rows, columns = (adaptive_ends(s, n) for s, n in zip(x.shape[2:], operation.size, strict=True))
    sums = [[x[:, :, a:b, c:d].sum((2, 3)) for c, d in columns] for a, b in rows]
    return np.stack([np.stack(row, axis=-1) for row in sums], axis=-2)


@compute.register
def _(operation: Lookup, inputs: Sequence[Integers]) -> Integers:
    start = np.iinfo(inputs[0].dtype).min
    return operation.table[inputs[0].astype(np.int64) - start]


@compute.register
def _(operation: Threshold, inputs: Sequence[Integers]) -> Integers:
    axes = (-1,) + (1,) * (inputs[0].ndim - 2)
    x = inputs[0].astype(np.int64) * operation.signs.reshape(axes)
    y = np.full(x.shape, operation.low)
    for threshold in operation.thresholds.T:
        y += operation.step * (x >= threshold.reshape(axes))
    return y


@compute.register
def _(operation: ArgMax, inputs: Sequence[Integers]) -> Integers:
    found: Integers = inputs[0].argmax(operation.axis + 1)
    return found


def pad(x: Integers, windows: Windows, codes: Integers) -> Integers:
    """Return `[N, C, H, W]` with each channel's code around it, as far as windows reach."""
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(*x.shape[2:])
    height, width = x.shape[2:]
    shape = (*x.shape[:2], top + height + bottom + below, left + width + right + beside)
    padded = np.empty(shape, x.dtype)
    padded[:] = codes.astype(x.dtype)[:, None, None]
    padded[:, :, top : top + height, left : left + width] = x
    return padded


def windows_of(padded: Integers, windows: Windows) -> Integers:
    """Return the windows, `[N, C, H', W', kernel height, kernel width]`."""
    (height, width), (down, across) = windows.kernel, windows.dilation
    reach = (down * (height - 1) + 1, across * (width - 1) + 1)
    found: Integers = sliding_window_view(padded, reach, axis=(2, 3))
    return found[:, :, :: windows.stride[0], :: windows.stride[1], ::down, ::across]
