"""Pooling, means, sums, maxima and softmax."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from quantlab.floats.layout import View, places_of
from quantlab.floats.lower.state import State, layer_of
from quantlab.floats.operations import Pool, Pooled, Range, Reals, Reduce, Softmax
from quantlab.graphs.operations import Mean, Sum
from quantlab.integer.lower.lowering import refuse
from quantlab.integer.operations import Windows

MAXIMA = (nn.MaxPool1d, nn.MaxPool2d)
AVERAGES = (nn.AvgPool1d, nn.AvgPool2d)
ADAPTIVE = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
SOFTMAX = (nn.Softmax, nn.LogSoftmax)
_MOST_TILE = 255  # rows or columns that are pooled with a layer


def lower_max_pool(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return the largest numbers of windows; with the layer that makes them, if windows do not
    overlap."""
    assert isinstance(layer, MAXIMA)
    if layer.return_indices:
        refuse(node, "return_indices=True, False allowed")
    if len(x.shape) not in (2, 3):
        refuse(node, f"of {len(x.shape) + 1} axes, three or four allowed")
    windows = _windows(layer, x)
    product = state.product(node, x)
    shape = (x.shape[0], *((1, x.shape[1]) if len(x.shape) == 2 else x.shape[1:]))
    is_laid_out = np.array_equal(x.places.reshape(shape), places_of(shape))
    is_apart = windows.stride[0] >= windows.kernel[0] and windows.stride[1] >= windows.kernel[1]
    is_small = max(*windows.kernel, *windows.stride) <= _MOST_TILE
    is_plain = not windows.is_padded and windows.dilation == (1, 1) and is_apart and is_small
    if product is not None and is_plain and is_laid_out and product.pooled is None:
        count = windows.output_size(*shape[1:])
        pooled = Pooled(size=windows.kernel, stride=windows.stride, count=count)
        state.change(product, pooled=pooled)
        state.sizes[x.array] = shape[0] * math.prod(count)
        places = places_of((shape[0], *count))
        return View(x.array, places[:, 0] if len(x.shape) == 2 else places)
    return _pool(state, node, x, *_ranges(windows, shape[1:]), windows.dilation, None)


def lower_average(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return means of windows. What sums are divided by is what the layer makes of ones."""
    assert isinstance(layer, AVERAGES)
    rows, columns = _ranges(_windows(layer, x), _size(x))
    ones = layer(torch.ones(1, 1, *x.shape[1:], dtype=torch.float64)).numpy().reshape(-1)
    counts = np.outer([b - a for a, b in rows], [b - a for a, b in columns]).reshape(-1)
    return _pool(state, node, x, rows, columns, (1, 1), np.rint(counts / ones))


def lower_adaptive(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return the means or the largest numbers of windows that part each axis."""
    counts = tuple(node.meta["shape"][2:])
    rows_of, columns_of = _size(x)
    count_rows, count_columns = counts if len(counts) == 2 else (1, *counts)
    rows, columns = _parts(rows_of, count_rows), _parts(columns_of, count_columns)
    divisors = np.outer([b - a for a, b in rows], [b - a for a, b in columns]).reshape(-1)
    is_largest = isinstance(layer, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d)
    return _pool(state, node, x, rows, columns, (1, 1), None if is_largest else divisors)


def lower_reduction(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return the mean or the sum over any axes but the batch."""
    assert isinstance(layer, Mean | Sum)
    dims = range(len(x.shape) + 1) if layer.dims is None else layer.dims
    axes = axes_of(node, dims, len(x.shape))
    count = math.prod(x.shape[axis] for axis in axes)
    divisor = float(count) if isinstance(layer, Mean) else 1.0
    if len(x.shape) == 3 and axes == [1, 2]:
        everything = ((0, x.shape[1]),), ((0, x.shape[2]),)
        y = _pool(state, node, x, *everything, (1, 1), np.array([divisor]))
        return View(y.array, y.places.reshape(shape_of(node)))
    return reduced(state, node, x, axes, divisor)


def reduced(state: State, node: fx.Node, x: View, axes: Sequence[int], divisor: Any) -> View:
    """Return one number of all along some axes. divisor: of sums; None: their largest."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    count = math.prod(x.shape[axis] for axis in axes)
    array = _rows(state, node, x, [*kept, *axes])
    size = x.places.size // count
    to = View(state.new(node, size), np.arange(size).reshape(shape_of(node)))
    state.emit(
        Reduce(output=to.array, layer=layer_of(node), input=array, count=count, divisor=divisor)
    )
    return to


def lower_softmax(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return the softmax along any axis but the batch."""
    assert isinstance(layer, SOFTMAX)
    num_axes = len(x.shape)
    # Without an axis torch takes this one.
    dim = (0 if num_axes in (0, 2) else 1) if layer.dim is None else layer.dim
    (axis,) = axes_of(node, [dim], num_axes)
    order = [*(other for other in range(num_axes) if other != axis), axis]
    array = _rows(state, node, x, order)
    shape = [x.shape[one] for one in order]
    places = np.arange(x.places.size).reshape(shape).transpose(np.argsort(order))
    to = View(state.new(node, x.places.size), places)
    state.emit(
        Softmax(
            output=to.array,
            layer=layer_of(node),
            input=array,
            count=x.shape[axis],
            is_logarithm=isinstance(layer, nn.LogSoftmax),
        )
    )
    return to


def axes_of(node: fx.Node, dims: Any, num_axes: int) -> list[int]:
    """Return axes, counted without the batch. Raises UsageError for the batch."""
    axes = sorted({dim % (num_axes + 1) - 1 for dim in dims})
    if not axes or axes[0] < 0:
        refuse(node, "over the batch, other axes allowed")
    return axes


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of a node's tensor, or of its first, without the batch."""
    shape = node.meta["shape"]
    return tuple((shape[0] if isinstance(shape[0], tuple) else shape)[1:])


def _rows(state: State, node: fx.Node, x: View, order: Sequence[int]) -> str:
    """Return an array of a tensor's numbers with its axes in an order."""
    shape = [x.shape[axis] for axis in order]
    places = np.arange(x.places.size).reshape(shape).transpose(np.argsort(order))
    return state.whole(node, x, places)


def _pool(
    state: State,
    node: fx.Node,
    x: View,
    rows: tuple[Range, ...],
    columns: tuple[Range, ...],
    dilation: tuple[int, int],
    divisors: Reals | None,
) -> View:
    array, size = state.image(node, x)
    shape = (x.shape[0], len(rows), len(columns))
    to = View(state.new(node, math.prod(shape)), places_of(shape))
    if divisors is not None:
        is_one = (divisors == divisors[0]).all()
        divisors = divisors[: 1 if is_one else None].astype(np.float32)
    state.emit(
        Pool(
            output=to.array,
            layer=layer_of(node),
            input=array,
            size=size,
            rows=rows,
            columns=columns,
            dilation=dilation,
            divisors=divisors,
        )
    )
    return to if len(x.shape) == 3 else View(to.array, to.places[:, 0, :])


def _size(x: View) -> tuple[int, int]:
    return (x.shape[1], x.shape[2]) if len(x.shape) == 3 else (1, x.shape[1])


def _parts(size: int, count: int) -> tuple[Range, ...]:
    return tuple((i * size // count, -(-(i + 1) * size // count)) for i in range(count))


def _ranges(windows: Windows, size: Sequence[int]) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """Return where windows begin and end within the input, along rows and columns."""
    counts = windows.output_size(size[0], size[1])
    found = []
    for axis in (0, 1):
        dilation, ranges = windows.dilation[axis], []
        for number in range(counts[axis]):
            begin = number * windows.stride[axis] - windows.padding[axis]
            places = [begin + i * dilation for i in range(windows.kernel[axis])]
            inside = [place for place in places if 0 <= place < size[axis]]
            ranges.append((inside[0], inside[-1] + 1))
        found.append(tuple(ranges))
    return found[0], found[1]


def _windows(layer: Any, x: View) -> Windows:
    axes = len(x.shape) - 1
    kernel = _pair(layer.kernel_size, axes, 1)
    rows, columns = _pair(layer.padding, axes, 0)
    return Windows(
        kernel=kernel,
        stride=_pair(layer.stride, axes, 1),
        padding=(rows, columns, rows, columns),
        dilation=_pair(getattr(layer, "dilation", 1), axes, 1),
        ceil_mode=layer.ceil_mode,
    )


def _pair(size: Any, axes: int, filler: int) -> tuple[int, int]:
    sizes = [size] * axes if isinstance(size, int) else list(size)
    rows, columns = [filler] * (2 - len(sizes)) + sizes
    return int(rows), int(columns)
