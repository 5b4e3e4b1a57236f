"""Pooling."""

from typing import Any

import numpy as np
import torch
from torch import fx, nn

from quantlab.graphs.operations import Mean
from quantlab.integer.lower.lowering import Lowering, refuse
from quantlab.integer.lower.value import Term, Value, codes_of
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, Reshape, SumPool, Windows

AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def lower_max_pool(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the largest codes; a value in another form is quantized first."""
    assert isinstance(layer, nn.MaxPool2d)
    codes = lowering.codes(x, node.all_input_nodes[0], may_be_wide=True)
    assert codes.grid is not None
    windows = _windows(layer, _pair(layer.dilation))
    tensor = lowering.builder.emit(MaxPool(windows=windows, **_common(lowering, node, codes)))
    return codes_of(tensor, codes.grid, lowering.shape(node), str(node.target))


def lower_average(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return sums over windows; the division is left to what rescales them.

    How many numbers a sum is divided by may depend on the place: it is what the layer itself makes
    of ones.
    """
    assert isinstance(layer, AVERAGES)
    codes = lowering.codes(x, node.all_input_nodes[0])
    assert codes.grid is not None
    zero, common = int(codes.grid.zero_point), _common(lowering, node, codes)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        rows, columns = lowering.shape(node)[1:]
        tensor = lowering.builder.emit(AdaptiveSumPool(size=(rows, columns), **common))
        terms = _adaptive_counts(codes.shape[1:], (rows, columns))
        share = 1.0 / terms
    else:
        windows = _windows(layer, (1, 1))
        tensor = lowering.builder.emit(SumPool(windows=windows, padding_code=zero, **common))
        share = _shares(layer, torch.ones(1, 1, *codes.shape[1:], dtype=torch.float64))
        terms = np.full(share.shape, float(np.prod(windows.kernel)))
    if np.unique(share).size == 1:
        share, terms = share.reshape(-1)[0].reshape(()), terms.reshape(-1)[0].reshape(())
    scale = codes.grid.scale * share
    return Value(
        terms=(Term(tensor=tensor, scale=np.asarray(scale)),),
        offset=np.asarray(-zero * terms * scale),
        shape=lowering.shape(node),
        node=str(node.target),
    )


def lower_mean(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the mean over height and width."""
    assert isinstance(layer, Mean)
    if len(x.shape) != 3 or layer.dims is None or {d % 4 for d in layer.dims} != {2, 3}:
        refuse(node, f"mean over axes {layer.dims}, the last two of four allowed")
    codes = lowering.codes(x, node.all_input_nodes[0])
    assert codes.grid is not None
    tensor = lowering.builder.emit(AdaptiveSumPool(size=(1, 1), **_common(lowering, node, codes)))
    if not layer.keepdim:
        name = lowering.builder.name(f"{node.name}_flat")
        shape = lowering.shape(node)
        tensor = lowering.builder.emit(
            Reshape(inputs=(tensor,), output=name, layer=str(node.target), shape=shape)
        )
    scale = codes.grid.scale / float(np.prod(codes.shape[1:]))
    return Value(
        terms=(Term(tensor=tensor, scale=np.asarray(scale)),),
        offset=codes.offset,
        shape=lowering.shape(node),
        node=str(node.target),
    )


def _common(lowering: Lowering, node: fx.Node, codes: Value) -> dict[str, Any]:
    return {
        "inputs": (codes.terms[0].tensor,),
        "output": lowering.builder.name(node.name),
        "layer": str(node.target),
    }


def _windows(layer: nn.MaxPool2d | nn.AvgPool2d, dilation: tuple[int, int]) -> Windows:
    rows, columns = _pair(layer.padding)
    return Windows(
        kernel=_pair(layer.kernel_size),
        stride=_pair(layer.stride),
        padding=(rows, columns, rows, columns),
        dilation=dilation,
        ceil_mode=layer.ceil_mode,
    )


def _shares(layer: nn.AvgPool2d, ones: torch.Tensor) -> Any:
    """Return what each sum is multiplied by, `[1, H', W']`."""
    sums = nn.functional.avg_pool2d(
        ones, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, divisor_override=1
    )
    return (layer(ones) / sums)[0].numpy()


def _adaptive_counts(size: tuple[int, ...], windows: tuple[int, int]) -> Any:
    """Return how many numbers are in each adaptive window, `[1, H', W']`."""
    ends = [
        [-(-(i + 1) * n // count) - i * n // count for i in range(count)]
        for n, count in zip(size, windows, strict=True)
    ]
    return np.outer(ends[0], ends[1])[None].astype(np.float64)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
