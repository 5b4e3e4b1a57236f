"""Runs a float program in NumPy: the definition of its bits, one rounding after the other."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.floats.layout import places_of
from quantlab.floats.operations import (
    Elementwise,
    Fill,
    Operation,
    Pool,
    Pooled,
    Product,
    Reduce,
    Softmax,
)
from quantlab.floats.program import FloatProgram
from quantlab.floats.scalar import exp, log

Floats = NDArray[np.float32]
Arrays = Mapping[str, Floats]


@singledispatch
def compute(operation: Operation, arrays: Arrays, to: Floats) -> None:
    """Write what an operation makes of arrays, `[N, size]`, to its output."""
    raise TypeError(type(operation).__name__)


def run(
    program: FloatProgram,
    inputs: Mapping[str, NDArray[Any]],
    compute: Callable[[Operation, Arrays, Floats], None] = compute,
) -> dict[str, Floats]:
    """Return the results `[N, ...]` of a batch, by name.

    inputs: `[N, *shape]` of 32-bit floats, as the network takes them. compute: another way to the
    results of operations. Raises UsageError for other inputs.
    """
    _check(program, inputs)
    arrays: dict[str, Floats] = {}
    for name, tensor in program.inputs.items():
        flat = inputs[name].reshape(len(inputs[name]), -1)
        arrays[name] = np.empty_like(flat)
        arrays[name][:, places_of(tensor.shape).reshape(-1)] = flat
    count = len(next(iter(arrays.values())))
    for operation in program.operations:
        name = operation.output
        if name not in arrays:
            arrays[name] = np.zeros((count, program.sizes[name]), np.float32)
        with np.errstate(all="ignore"):
            compute(operation, arrays, arrays[name])
    return {
        name: arrays[result.array][:, places_of(result.tensor.shape)]
        for name, result in program.results.items()
    }


@compute.register
def _(operation: Product, arrays: Arrays, to: Floats) -> None:
    (rows, columns), windows, groups = operation.places, operation.windows, operation.groups
    padded = padded_image(operation, arrays[operation.input])
    weight = operation.weight.reshape(groups, -1, *operation.weight.shape[1:])
    weight = np.ascontiguousarray(weight.transpose(2, 3, 4, 0, 1))
    sums = np.zeros((len(padded), rows, columns, *weight.shape[3:]), np.float32)
    for i in range(windows.kernel[0]):
        for j in range(windows.kernel[1]):
            begin, start = i * windows.dilation[0], j * windows.dilation[1]
            taps = padded[:, begin :: windows.stride[0], start :: windows.stride[1]]
            taps = taps[:, :rows, :columns]
            for channel, tap in enumerate(weight[i, j]):
                sums += taps[..., channel, None] * tap
    finish_product(operation, sums.reshape(len(padded), rows, columns, -1), to)


def padded_image(operation: Product, x: Floats) -> Floats:
    """Return the places that the windows of a product reach, `[N, rows, columns, G, I / G]`."""
    windows = operation.windows
    image = x.reshape(len(x), *operation.size, operation.groups, -1)
    top, left, *_ = windows.padding
    reach = [
        (count - 1) * stride + dilation * (kernel - 1) + 1
        for count, stride, dilation, kernel in zip(
            operation.places, windows.stride, windows.dilation, windows.kernel, strict=True
        )
    ]
    padded = np.zeros((len(x), *reach, *image.shape[3:]), np.float32)
    inside = image[:, : reach[0] - top, : reach[1] - left]
    padded[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return padded


def finish_product(operation: Product, sums: Floats, to: Floats) -> None:
    """Write what a product makes of its sums `[N, rows, columns, O]` without the bias."""
    result = sums
    if operation.bias is not None:
        result = result + operation.bias
    if operation.function is not None:
        result = operation.function.of(result, result)
    if operation.pooled is not None:
        result = _largest(result, operation.pooled)
    to[:] = result.reshape(len(to), -1)


def _largest(x: Floats, pooled: Pooled) -> Floats:
    (rows, columns), (down, right) = pooled.count, pooled.stride
    parts = [
        x[:, i::down, j::right][:, :rows, :columns]
        for i in range(pooled.size[0])
        for j in range(pooled.size[1])
    ]
    return _first_largest(np.stack(parts))


@compute.register
def _(operation: Pool, arrays: Arrays, to: Floats) -> None:
    x = arrays[operation.input]
    image = x.reshape(len(x), *operation.size)
    result = to.reshape(len(x), len(operation.rows), len(operation.columns), -1)
    divisors = operation.divisors
    for i, (top, bottom) in enumerate(operation.rows):
        for j, (left, right) in enumerate(operation.columns):
            rows, columns = operation.dilation
            part = image[:, top:bottom:rows, left:right:columns]
            window = part.reshape(len(x), -1, image.shape[3]).swapaxes(0, 1)
            if divisors is None:
                result[:, i, j] = _first_largest(window)
            else:
                place = (i * len(operation.columns) + j) % divisors.size
                result[:, i, j] = _sum(window) / divisors[place]


@compute.register
def _(operation: Elementwise, arrays: Arrays, to: Floats) -> None:
    x = arrays[operation.input][:, operation.places]
    other = x
    if operation.other_places is not None:
        if operation.constant is not None:
            other = operation.constant[operation.other_places][None]
        else:
            assert operation.other is not None
            other = arrays[operation.other][:, operation.other_places]
    to[:, operation.to_places] = operation.function.of(x, other)


@compute.register
def _(operation: Fill, arrays: Arrays, to: Floats) -> None:
    to[:] = operation.number


@compute.register
def _(operation: Softmax, arrays: Arrays, to: Floats) -> None:
    rows = arrays[operation.input].reshape(-1, operation.count)
    moved = rows - _first_largest(rows.T)[:, None]
    powers = exp(moved)
    total = _sum(powers.T)[:, None]
    result = moved - log(total) if operation.is_logarithm else powers / total
    to[:] = result.reshape(to.shape)


@compute.register
def _(operation: Reduce, arrays: Arrays, to: Floats) -> None:
    columns = arrays[operation.input].reshape(-1, operation.count).T
    if operation.divisor is None:
        result = _first_largest(columns)
    else:
        result = _sum(columns) / np.float32(operation.divisor)
    to[:] = result.reshape(to.shape)


def _sum(parts: Floats) -> Floats:
    """Return the sum along the first axis, from +0 on, one after the other."""
    total = np.zeros(parts.shape[1:], np.float32)
    for part in parts:
        total = total + part
    return total


def _first_largest(parts: Floats) -> Floats:
    """Return the largest along the first axis; of +0 and -0 the one that comes first."""
    best: Floats = parts[0].copy()
    for part in parts[1:]:
        best = np.asarray(np.where(part > best, part, best))
    return best


def _check(program: FloatProgram, inputs: Mapping[str, NDArray[Any]]) -> None:
    for name, tensor in program.inputs.items():
        given = inputs[name].shape[1:] if name in inputs else None
        if given != tensor.shape or inputs[name].dtype != np.float32:
            raise UsageError(
                f"input '{name}': {'nothing' if given is None else inputs[name].dtype} "
                f"{list(given or ())} given, {tensor} allowed"
            )
