"""Pooling, means and sums."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from quantlab.graphs.operations import Mean, Sum
from quantlab.graphs.paths import origin
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.moves import Moves
from quantlab.integer.lower.rows import lifted, lowered_to
from quantlab.integer.lower.value import Term, Value, codes_of
from quantlab.integer.lower.windows import pair
from quantlab.integer.operations import (
    AdaptiveSumPool,
    Concatenate,
    MaxPool,
    Reshape,
    Slice,
    SumPool,
    Windows,
)
from quantlab.integer.operations.pooling import adaptive_ends

AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d)
Pool = nn.MaxPool1d | nn.MaxPool2d | nn.AvgPool1d | nn.AvgPool2d
ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)


def lower_max_pool(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the largest codes; a value in another form is quantized first."""
    assert isinstance(layer, MAX_POOLS)
    codes = lowering.codes(x, lowering.source(node), may_be_wide=True)
    axes, image = len(codes.shape) - 1, lifted(lowering, node, codes)
    windows = _windows(layer, axes, pair(layer.dilation, axes))
    tensor = lowering.builder.emit(MaxPool(windows=windows, **_common(lowering, node, image)))
    return _pooled(lowering, node, tensor, image)


def lower_average(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return sums over windows; the division is left to what rescales them.

    How many numbers a sum is divided by may depend on the place: it is what the layer itself makes
    of ones.
    """
    assert isinstance(layer, AVERAGES)
    codes = lowering.codes(x, lowering.source(node))
    axes, codes = len(codes.shape) - 1, lifted(lowering, node, codes)
    assert codes.grid is not None
    zero, common = int(codes.grid.zero_point), _common(lowering, node, codes)
    if isinstance(layer, nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d):
        size = pair(lowering.shape(node)[1:], axes)
        tensor = lowering.builder.emit(AdaptiveSumPool(size=size, **common))
        terms = _adaptive_counts(codes.shape[1:], size)
        share = 1.0 / terms
    else:
        windows = _windows(layer, axes, (1, 1))
        tensor = lowering.builder.emit(SumPool(windows=windows, padding_code=zero, **common))
        share = _shares(layer, windows, codes.shape[1:])
        terms = np.full(share.shape, float(np.prod(windows.kernel)))
    if np.unique(share).size == 1:
        share, terms = share.reshape(-1)[0].reshape(()), terms.reshape(-1)[0].reshape(())
    scale = codes.grid.scale * share
    y = Value(
        terms=(Term(tensor=tensor, scale=np.asarray(scale)),),
        offset=np.asarray(-zero * terms * scale),
        shape=lowering.builder.types[tensor].shape,
        node=origin(node),
    )
    return lowered_to(lowering, node, y)


def lower_reduction(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the mean or the sum over any axes but the batch."""
    assert isinstance(layer, Mean | Sum)
    num_axes = len(x.shape)
    dims = range(num_axes + 1) if layer.dims is None else layer.dims
    axes = sorted({dim % (num_axes + 1) - 1 for dim in dims})
    if axes[0] < 0:
        refuse(node, "over the batch, other axes allowed")
    codes = lowering.codes(x, lowering.source(node))
    assert codes.grid is not None
    kept = [axis for axis in range(num_axes) if axis not in axes]
    count = math.prod(codes.shape[axis] for axis in axes)
    moves = Moves(lowering, node, codes)
    if num_axes != 3 or axes != [1, 2]:
        moves.permute([*kept, *axes]).reshape((math.prod(codes.shape) // count, 1, count))
    codes = moves.value
    tensor = lowering.builder.emit(AdaptiveSumPool(size=(1, 1), **_common(lowering, node, codes)))
    shape = lowering.shape(node)
    if lowering.builder.types[tensor].shape != shape:
        name = lowering.builder.name(f"{node.name}_flat")
        tensor = lowering.builder.emit(
            Reshape(inputs=(tensor,), output=name, layer=origin(node), shape=shape)
        )
    times = count if isinstance(layer, Sum) else 1
    assert codes.grid is not None
    return Value(
        terms=(Term(tensor=tensor, scale=np.asarray(codes.grid.scale * times / count)),),
        offset=codes.offset * times,
        shape=shape,
        node=origin(node),
    )


def lower_adaptive_max_pool(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the largest codes of adaptive windows: rows first, then columns."""
    codes = lowering.codes(x, lowering.source(node), may_be_wide=True)
    axes, image = len(codes.shape) - 1, lifted(lowering, node, codes)
    tensor = image.terms[0].tensor
    for axis, count in enumerate(pair(lowering.shape(node)[1:], axes)):
        tensor = _adaptive_maxima(lowering, node, tensor, axis, count)
    return _pooled(lowering, node, tensor, image)


def _pooled(lowering: Lowering, node: fx.Node, tensor: str, codes: Value) -> Value:
    """Return what pooling makes of codes, in the node's shape."""
    assert codes.grid is not None
    shape = lowering.builder.types[tensor].shape
    return lowered_to(lowering, node, codes_of(tensor, codes.grid, shape, origin(node)))


def _adaptive_maxima(lowering: Lowering, node: fx.Node, tensor: str, axis: int, count: int) -> str:
    """Return the largest integers of `count` adaptive windows along height, 0, or width, 1."""
    size = lowering.builder.types[tensor].shape[axis + 1]
    ends = adaptive_ends(size, count)
    lengths = {stop - start for start, stop in ends}
    strides = {b - a for (a, _), (b, _) in pairwise(ends)} or {1}
    if len(lengths) == len(strides) == 1 and min(strides) > 0:
        return _maxima(lowering, node, tensor, axis, lengths.pop(), strides.pop())
    parts = []
    for start, stop in ends:
        part = lowering.builder.emit(
            Slice(axis=axis + 1, start=start, stop=stop, **_of(lowering, node, tensor))
        )
        parts.append(_maxima(lowering, node, part, axis, stop - start, 1))
    return lowering.builder.emit(
        Concatenate(
            inputs=tuple(parts),
            output=lowering.builder.name(node.name),
            layer=origin(node),
            axis=axis + 1,
        )
    )


def _maxima(
    lowering: Lowering, node: fx.Node, tensor: str, axis: int, length: int, stride: int
) -> str:
    kernel, steps = ((length, 1), (stride, 1)) if axis == 0 else ((1, length), (1, stride))
    windows = Windows(kernel=kernel, stride=steps)
    return lowering.builder.emit(MaxPool(windows=windows, **_of(lowering, node, tensor)))


def _common(lowering: Lowering, node: fx.Node, codes: Value) -> dict[str, Any]:
    return _of(lowering, node, codes.terms[0].tensor)


def _of(lowering: Lowering, node: fx.Node, tensor: str) -> dict[str, Any]:
    return {
        "inputs": (tensor,),
        "output": lowering.builder.name(node.name),
        "layer": origin(node),
    }


def _windows(layer: Pool, axes: int, dilation: tuple[int, int]) -> Windows:
    rows, columns = pair(layer.padding, axes, 0)
    return Windows(
        kernel=pair(layer.kernel_size, axes),
        stride=pair(layer.stride, axes),
        padding=(rows, columns, rows, columns),
        dilation=dilation,
        ceil_mode=layer.ceil_mode,
    )


def _shares(layer: nn.AvgPool1d | nn.AvgPool2d, windows: Windows, size: tuple[int, ...]) -> Any:
    """Return what each sum over an image of a size is multiplied by, `[1, H', W']`."""
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    sums = nn.functional.avg_pool2d(
        ones,
        windows.kernel,
        windows.stride,
        windows.padding[:2],
        layer.ceil_mode,
        divisor_override=1,
    )
    given = ones[:, :, 0] if isinstance(layer, nn.AvgPool1d) else ones
    means = layer.forward(given).reshape(sums.shape)  # without the quantizer of its output
    return (means / sums)[0].numpy()


def _adaptive_counts(size: tuple[int, ...], windows: tuple[int, int]) -> Any:
    """Return how many numbers are in each adaptive window, `[1, H', W']`."""
    ends = [
        [-(-(i + 1) * n // count) - i * n // count for i in range(count)]
        for n, count in zip(size, windows, strict=True)
    ]
    return np.outer(ends[0], ends[1])[None].astype(np.float64)
