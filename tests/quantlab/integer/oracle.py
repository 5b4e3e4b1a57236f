"""Integer programs evaluated once more, from what the operations say of themselves alone.

Nothing here is shared with the interpreter: one sample after the other, without a batch, in
Python's own integers, window by window, number by number. Shapes are those of one sample.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quantlab.integer.operations import (
    AdaptiveSumPool,
    Add,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Requantize,
    Reshape,
    Slice,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import IntegerType

Integers = NDArray[np.int64]
Exact = NDArray[np.object_]  # Python's integers


def evaluate(program: Program, inputs: Mapping[str, NDArray[Any]]) -> dict[str, Integers]:
    """Return every tensor of a program, its inputs too, for a batch of each input, `[N, ...]`.

    Asserts that each has the shape and only integers of its type.
    """
    count = len(next(iter(inputs.values())))
    samples = [
        _evaluate_one(program, {name: batch[index] for name, batch in inputs.items()})
        for index in range(count)
    ]
    return {name: np.stack([sample[name] for sample in samples]) for name in program.types}


def _evaluate_one(program: Program, inputs: Mapping[str, NDArray[Any]]) -> dict[str, Integers]:
    found = {name: np.array(x, np.int64) for name, x in inputs.items()}
    for operation in program.operations:
        sources = [found[name] for name in operation.inputs]
        made = np.asarray(
            EVALUATE[type(operation)](operation, *sources, **_kind(program, operation))
        )
        given = program.types[operation.output]
        assert made.shape == given.shape, f"{operation.output}: {made.shape}, {given} expected"
        assert given.kind.minimum <= made.min() <= made.max() <= given.kind.maximum
        found[operation.output] = made.astype(np.int64)
    return found


def _kind(program: Program, operation: Operation) -> dict[str, IntegerType]:
    """Return the type of the input, for what depends on it."""
    is_lookup = isinstance(operation, Lookup)
    return {"kind": program.types[operation.inputs[0]].kind} if is_lookup else {}


def _convolution(operation: Convolution, x: Integers) -> Integers:
    """By torch in float64, with the border written around the image; no sum reaches 2^53."""
    windows, codes = operation.windows, operation.padding_codes.astype(np.int64)
    top, left, *_ = windows.padding
    height, width = (places[-1][-1] + 1 for places in _places(windows, x.shape, shift=True))
    image = np.tile(codes[:, None, None], (1, height + x.shape[1], width + x.shape[2]))
    image[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    image = image[:, :height, :width]
    weight, bias = operation.weight.astype(np.float64), operation.bias.astype(np.float64)
    assert abs(weight).sum((1, 2, 3)).max() * abs(image).max() + abs(bias).max() < 2**53
    made = torch.nn.functional.conv2d(
        *(torch.from_numpy(array) for array in (image[None].astype(np.float64), weight, bias)),
        stride=windows.stride,
        dilation=windows.dilation,
        groups=operation.groups,
    )
    return made[0].numpy().astype(np.int64)


def _linear(operation: Linear, x: Integers) -> Exact:
    weight, bias = operation.weight.astype(object), operation.bias.astype(object)
    rows = [[bias[o] + weight[o] @ row for o in range(len(bias))] for row in _rows(x)]
    return np.array(rows, object).reshape(*x.shape[:-1], len(bias))


def _rows(x: Integers) -> Exact:
    return x.astype(object).reshape(-1, x.shape[-1])


def _requantize(operation: Requantize, x: Integers) -> Exact:
    return _rescaled(operation, x.astype(object) * operation.multiplier.astype(object))


def _add(operation: Add, left: Integers, right: Integers) -> Exact:
    terms = (
        left.astype(object) * operation.left_multiplier.astype(object),
        right.astype(object) * operation.right_multiplier.astype(object),
    )
    return _rescaled(operation, *terms)


def _rescaled(operation: Rescale, *terms: Any) -> Exact:
    """In Python's integers, of which every partial sum must fit 64 bits."""
    total = np.asarray(operation.offset.astype(object))
    for term in terms:
        total = np.asarray(total + term, object)
        assert -(2**63) <= total.min() <= total.max() < 2**63
    power = np.asarray(2 ** operation.shift.astype(object), object)
    quotients = np.asarray(total // power, object)
    clamped = [min(max(number, operation.low), operation.high) for number in quotients.flat]
    return np.array(clamped, object).reshape(quotients.shape)


def _multiply(operation: Multiply, left: Integers, right: Integers) -> Exact:
    product: Exact = (left.astype(object) - operation.left_zero) * (
        right.astype(object) - operation.right_zero
    )
    return product


def _threshold(operation: Threshold, x: Integers) -> Integers:
    """By bisection in the row of each channel."""
    made = np.empty_like(x)
    for channel, numbers in enumerate(x):
        row = channel % len(operation.thresholds)
        thresholds, sign = sorted(operation.thresholds[row].tolist()), int(operation.signs[row])
        counts = [bisect_right(thresholds, sign * number) for number in numbers.ravel().tolist()]
        made[channel] = operation.low + operation.step * np.reshape(counts, numbers.shape)
    return made


def _lookup(operation: Lookup, x: Integers, *, kind: IntegerType) -> Integers:
    codes = range(kind.minimum, kind.maximum + 1)
    table = dict(zip(codes, operation.table.tolist(), strict=True))
    return np.array([table[code] for code in x.ravel().tolist()]).reshape(x.shape)


def _max_pool(operation: MaxPool, x: Integers) -> Integers:
    return _pooled(x, _places(operation.windows, x.shape), lambda there, _: there.max((1, 2)))


def _sum_pool(operation: SumPool, x: Integers) -> Integers:
    """What is there, and the code as often as something is not."""
    code = operation.padding_code
    return _pooled(
        x,
        _places(operation.windows, x.shape),
        lambda there, num_missing: there.sum((1, 2)) + num_missing * code,
    )


def _adaptive_sum_pool(operation: AdaptiveSumPool, x: Integers) -> Integers:
    rows, columns = (
        [range(math.floor(i * n / m), math.ceil((i + 1) * n / m)) for i in range(m)]
        for n, m in zip(x.shape[1:], operation.size, strict=True)
    )
    return _pooled(x, (rows, columns), lambda there, _: there.sum((1, 2)))


Places = list[range]


def _places(
    windows: Windows, shape: tuple[int, ...], *, shift: bool = False
) -> tuple[Places, Places]:
    """Return the rows and the columns in which each window of `[C, H, W]` has its numbers; those
    beyond the border are not from 0 to H or W. shift: count from the border's begin instead.

    A window belongs to the result if it ends within the border; with ceil_mode also if it hangs
    over the end, by less than a stride, and begins neither there nor in the padding at the end.
    """
    found = []
    for axis, size in enumerate(shape[1:]):
        before, after = windows.padding[axis], windows.padding[axis + 2]
        stride, step, kernel = (
            pair[axis] for pair in (windows.stride, windows.dilation, windows.kernel)
        )
        reach = (kernel - 1) * step + 1
        total = before + size + after
        starts = [
            start
            for start in range(0, total, stride)
            if start + reach <= total
            or (windows.ceil_mode and start + reach < total + stride and start < before + size)
        ]
        origin = 0 if shift else before
        found.append([range(s - origin, s - origin + reach, step) for s in starts])
    return found[0], found[1]


def _pooled(
    x: Integers, places: tuple[Places, Places], pool: Callable[[Integers, int], Integers]
) -> Integers:
    """pool: of the numbers that are there, `[C, h, w]`, and how many a channel are not."""
    rows, columns = places
    made = np.empty((len(x), len(rows), len(columns)), np.int64)
    for (i, down), (j, across) in product(enumerate(rows), enumerate(columns)):
        there = x[:, [r for r in down if r in range(x.shape[1])]]
        there = there[:, :, [c for c in across if c in range(x.shape[2])]]
        made[:, i, j] = pool(there, len(down) * len(across) - there[0].size)
    return made


def _arg_max(operation: ArgMax, x: Integers) -> Integers:
    """list.index gives the first of equal ones."""
    lines = np.moveaxis(x, operation.axis, -1)
    found = [line.index(max(line)) for line in lines.reshape(-1, lines.shape[-1]).tolist()]
    return np.array(found).reshape(lines.shape[:-1])


def _reshape(operation: Reshape, x: Integers) -> Integers:
    numbers = iter(x.ravel().tolist())
    made = np.empty(operation.shape, np.int64)
    for place in np.ndindex(*operation.shape):
        made[place] = next(numbers)
    return made


def _permute(operation: Permute, x: Integers) -> Integers:
    return np.moveaxis(x, operation.axes, range(x.ndim))


def _slice(operation: Slice, x: Integers) -> Integers:
    places = list(range(operation.start, operation.stop, operation.step))
    return np.take(x, places, operation.axis)


def _concatenate(operation: Concatenate, *parts: Integers) -> Integers:
    def layers() -> Iterator[Integers]:
        for part in parts:
            yield from np.moveaxis(part, operation.axis, 0)

    return np.stack(list(layers()), operation.axis)


EVALUATE: dict[type[Operation], Callable[..., Any]] = {
    AdaptiveSumPool: _adaptive_sum_pool,
    Add: _add,
    ArgMax: _arg_max,
    Concatenate: _concatenate,
    Convolution: _convolution,
    Linear: _linear,
    Lookup: _lookup,
    MaxPool: _max_pool,
    Multiply: _multiply,
    Permute: _permute,
    Requantize: _requantize,
    Reshape: _reshape,
    Slice: _slice,
    SumPool: _sum_pool,
    Threshold: _threshold,
}
