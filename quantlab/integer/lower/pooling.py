"""Pooling."""

from typing import Any

import numpy as np
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.integer.lower.grid import Grid
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Term, Value, codes_of
from quantlab.integer.operations import AdaptiveSumPool, MaxPool, SumPool, Windows


def lower_max_pool(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return the largest codes; a value in another form is quantized first."""
    assert isinstance(layer, nn.MaxPool2d)
    codes = lowering.codes(x, node.all_input_nodes[0])
    assert codes.grid is not None
    rows, columns = _pair(layer.padding)
    windows = Windows(
        kernel=_pair(layer.kernel_size),
        stride=_pair(layer.stride),
        padding=(rows, columns, rows, columns),
        dilation=_pair(layer.dilation),
        ceil_mode=layer.ceil_mode,
    )
    tensor = lowering.builder.emit(
        MaxPool(
            inputs=(codes.terms[0].tensor,),
            output=lowering.builder.name(node.name),
            layer=str(node.target),
            windows=windows,
        )
    )
    return codes_of(tensor, codes.grid, lowering.shape(node), str(node.target))


def lower_average(lowering: Lowering, node: fx.Node, layer: nn.Module, x: Value) -> Value:
    """Return sums over windows; the division is left to what rescales them."""
    codes = lowering.codes(x, node.all_input_nodes[0])
    assert codes.grid is not None
    height, width = codes.shape[1:]
    common: dict[str, Any] = {
        "inputs": (codes.terms[0].tensor,),
        "output": lowering.builder.name(node.name),
        "layer": str(node.target),
    }
    path = str(node.target)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        rows, columns = lowering.shape(node)[1:]
        if height % rows or width % columns:
            raise UsageError(
                f"layer '{path}': {height} x {width} averaged to {rows} x {columns}; sizes that "
                "divide the input's allowed"
            )
        kernel = (height // rows, width // columns)
        windows = Windows(kernel=kernel, stride=kernel)
        if (rows, columns) == (1, 1):
            operation: AdaptiveSumPool | SumPool = AdaptiveSumPool(size=(1, 1), **common)
        else:
            operation = SumPool(windows=windows, **common)
    else:
        assert isinstance(layer, nn.AvgPool2d)
        if layer.divisor_override is not None or layer.ceil_mode:
            raise UsageError(f"layer '{path}': ceil_mode and divisor_override are not allowed")
        kernel, padding = _pair(layer.kernel_size), _pair(layer.padding)
        if any(padding) and not layer.count_include_pad:
            raise UsageError(f"layer '{path}': padding that does not count is not allowed")
        windows = Windows(kernel=kernel, stride=_pair(layer.stride), padding=padding * 2)
        operation = SumPool(windows=windows, padding_code=_zero(codes.grid), **common)
    tensor = lowering.builder.emit(operation)
    return Value(
        terms=(Term(tensor=tensor, scale=codes.grid.scale / (kernel[0] * kernel[1])),),
        offset=codes.offset,
        shape=lowering.shape(node),
        node=path,
    )


def _zero(grid: Grid) -> int:
    return int(np.asarray(grid.zero_point).reshape(-1)[0])


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
