"""Convolutions, fully connected layers, and batch norms."""

from typing import Any

import numpy as np
from torch import fx, nn

from quantlab.errors import UsageError
from quantlab.floats.functions import Function
from quantlab.floats.layout import View, places_of
from quantlab.floats.lower.pads import spread
from quantlab.floats.lower.state import State, layer_of
from quantlab.floats.operations import Product, Reals
from quantlab.graphs.fold_batch_norm import factor_and_offset
from quantlab.graphs.weights import check_own_weight
from quantlab.integer.lower.finite import check_finite, finite
from quantlab.integer.lower.lowering import refuse
from quantlab.integer.operations import Windows

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.ConvTranspose1d, nn.ConvTranspose2d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def lower_layer(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Return a layer's sums. They have float64's weights until the program is complete."""
    path = layer_of(node)
    check_own_weight(layer, path)
    weight = finite(layer.get_parameter("weight"), f"{path}.weight")
    bias = None
    if layer._parameters.get("bias") is not None:
        bias = finite(layer.get_parameter("bias"), f"{path}.bias")
    if isinstance(layer, nn.Linear):
        return _linear(state, node, weight, bias, x)
    mode = getattr(layer, "padding_mode", "zeros")
    if mode != "zeros":
        refuse(node, f"padding_mode '{mode}', 'zeros' allowed")
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return _transposed(state, node, layer, weight, bias, x)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    return _convolution(state, node, weight, bias, x, _windows(layer), layer.groups)


def _linear(state: State, node: fx.Node, weight: Reals, bias: Reals | None, x: View) -> View:
    """The input stays as it lies if each row of features has one array's order: the weights are put
    into it instead."""
    features = x.shape[-1]
    rows = x.places.reshape(-1, features)
    order = np.argsort(rows[0])
    numbers = np.arange(rows.size).reshape(rows.shape)
    if state.sizes[x.array] == rows.size and np.array_equal(rows[:, order], numbers):
        array = x.array
    else:
        array, order = state.whole(node, x, numbers.reshape(x.shape)), np.arange(features)
    to = View(
        state.new(node, len(rows) * len(weight)),
        np.arange(len(rows) * len(weight)).reshape(*x.shape[:-1], len(weight)),
    )
    state.emit(
        Product(
            output=to.array,
            layer=layer_of(node),
            input=array,
            size=(len(rows), 1),
            weight=weight[:, None, None, order],
            bias=bias,
            windows=Windows(kernel=(1, 1)),
        )
    )
    return to


def _convolution(
    state: State,
    node: fx.Node,
    weight: Reals,
    bias: Reals | None,
    x: View,
    windows: Windows,
    groups: int,
) -> View:
    """weight: `[O, I / G, rows, columns]`, or of one dimension without rows."""
    array, (height, width, _) = state.image(node, x)
    size = windows.output_size(height, width)
    shape = (len(weight), *size)
    to = View(state.new(node, int(np.prod(shape))), places_of(shape))
    taps = weight.reshape(*weight.shape[:2], *windows.kernel)
    state.emit(
        Product(
            output=to.array,
            layer=layer_of(node),
            input=array,
            size=(height, width),
            weight=taps.transpose(0, 2, 3, 1),
            bias=bias,
            windows=windows,
            groups=groups,
        )
    )
    return to if len(x.shape) == 3 else View(to.array, to.places[:, 0, :])


def _transposed(
    state: State, node: fx.Node, layer: Any, weight: Reals, bias: Reals | None, x: View
) -> View:
    """The convolution, with a turned kernel, of the input with zeros between and around."""
    axes = len(layer.kernel_size)
    begins, sizes = [], []
    for axis in range(axes):
        reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
        before = reach - layer.padding[axis]
        inner = (x.shape[1 + axis] - 1) * layer.stride[axis] + 1
        begins.append(before)
        sizes.append(inner + 2 * before + layer.output_padding[axis])
    if min(begins) < 0:
        refuse(node, f"padding {list(layer.padding)}, at most what the kernel reaches allowed")
    shape, starts = (x.shape[0], *sizes), (0, *begins)
    x = spread(state, node, x, shape, starts, (1, *layer.stride), 0.0)
    groups = layer.groups
    inputs, outputs = weight.shape[:2]
    turned = weight.reshape(groups, inputs // groups, outputs, *weight.shape[2:])
    turned = turned.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *weight.shape[2:])
    turned = np.flip(turned, tuple(range(2, turned.ndim)))
    kernel, dilation = (_pair(size) for size in (layer.kernel_size, layer.dilation))
    windows = Windows(kernel=kernel, dilation=dilation)
    return _convolution(state, node, turned, bias, x, windows, groups)


def _windows(layer: nn.Conv1d | nn.Conv2d) -> Windows:
    kernel, stride, dilation = (
        _pair(size) for size in (layer.kernel_size, layer.stride, layer.dilation)
    )
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        top, left = (total // 2 for total in totals)
        padding = (top, left, totals[0] - top, totals[1] - left)
    else:
        given = (0,) * len(layer.kernel_size) if isinstance(layer.padding, str) else layer.padding
        rows, columns = (0, *given) if len(given) == 1 else given
        padding = (rows, columns, rows, columns)
    return Windows(kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def _pair(size: Any) -> tuple[int, int]:
    """Return rows and columns; of one dimension the columns of one row."""
    return (1, int(size[0])) if len(size) == 1 else (int(size[0]), int(size[1]))


def lower_batch_norm(state: State, node: fx.Node, layer: nn.Module, x: View) -> View:
    """Fold a batch norm into the layer before it, in float64, or return a factor and an offset of
    each channel."""
    assert isinstance(layer, BATCH_NORMS)
    path = layer_of(node)
    if layer.running_mean is None or layer.running_var is None:
        raise UsageError(
            f"layer '{path}': batch norm without running statistics, which has no meaning for one "
            "sample"
        )
    for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        check_finite(tensor, f"{path}.{name}")
    factor, offset = (tensor.cpu().numpy() for tensor in factor_and_offset(layer))
    product = state.product(node, x)
    if product is not None and product.function is None and product.pooled is None:
        channels = x.places.reshape(x.shape[0], -1) % len(product.weight)
        if (channels == channels[:, :1]).all() and len(channels) == len(product.weight):
            outputs = np.argsort(channels[:, 0])
            factor_O, offset_O = factor[outputs], offset[outputs]
            bias = offset_O if product.bias is None else product.bias * factor_O + offset_O
            weight = product.weight * factor_O[:, None, None, None]
            state.change(product, weight=weight, bias=bias)
            return x
    axes = (-1,) + (1,) * (len(x.shape) - 1)
    x = state.elementwise(node, Function("multiply"), x, factor.reshape(axes))
    return state.elementwise(node, Function("add"), x, offset.reshape(axes))
