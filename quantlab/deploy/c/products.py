"""Convolutions and fully connected layers, with what is made of their sums."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.made import Sums, finish
from quantlab.deploy.c.overlap import Places, place_gap, window_gap
from quantlab.deploy.c.placed import Placed, channels_last
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.weights import BLOCK, packed
from quantlab.deploy.c.writer import Argument, Pointer, Writer, owner
from quantlab.errors import UsageError
from quantlab.integer.groups import Group
from quantlab.integer.operations import Convolution, Linear, Operation, Windows
from quantlab.integer.tensor_type import IntegerType, TensorType

_MOST = np.iinfo(np.uint16).max


def product(group: Group, writer: Writer) -> None:
    """Append the call of a layer."""
    layer = group.operation
    assert isinstance(layer, Convolution | Linear)
    name = layer.inputs[0]
    if isinstance(layer, Convolution):
        x = writer.ordered(name)
        sizes = _image(layer, x)
        windows, is_depthwise = layer.windows, _is_depthwise(layer)
        weights = layer.weight.transpose(0, 2, 3, 1)
        is_joined = layer.groups == windows.dilation[1] == 1
        weights = (
            weights.transpose(3, 1, 2, 0)
            if is_depthwise
            else packed(weights, layer.groups, is_joined=is_joined)
        )
    else:
        x, weights = _flat(layer, writer, name)
        is_depthwise = False
        weights = packed(weights[:, None, None], 1, is_joined=True)
        sizes = {"rows": prod(x.kind.shape[:-1]), "columns": 1, "channels": x.kind.shape[-1]}
        sizes |= {"result_rows": sizes["rows"], "result_columns": 1}
        sizes |= dict.fromkeys(("kernel_rows", "kernel_columns", "groups"), 1)
        sizes |= dict.fromkeys(("stride_rows", "stride_columns"), 1)
        sizes |= dict.fromkeys(("dilation_rows", "dilation_columns"), 1)
        sizes |= {"top": 0, "left": 0}
    for key, size in sizes.items():
        if size > _MOST:
            raise UsageError(f"{owner(layer)}: {key} {size} given, at most {_MOST} allowed in C")
    shape = writer.program.types[layer.output].shape
    order = channels_last(shape) if isinstance(layer, Convolution) else tuple(range(len(shape)))
    sums = Sums(group=group, order=order, bias=layer.bias)
    lacks_bias = sums.can_lack_bias()
    finished, stored, places = finish(sums, writer, lacks_bias=lacks_bias)
    has_bias = not lacks_bias and layer.bias.any()
    fields: dict[str, Any] = {
        **sizes,
        "outputs": len(layer.bias),
        "weights": writer.constants("weights", np.ascontiguousarray(weights)),
        "bias": writer.constants("bias", layer.bias) if has_bias else "NULL",
        "padding": _padding(layer, writer),
        "finish": finished,
    }
    found = writer.structure("ql_product", "layer", fields)
    kind = str(x.kind.kind)
    function = "depthwise" if is_depthwise else "product"
    if all(map(_is_of_places, writer.program.operations)):
        function = "places"  # smaller, but not where the others are needed too
    function = f"{function}_{kind}"
    writer.runtime.add(function)
    if not function.startswith("places"):
        writer.runtime |= {"find_window", "fill_window"}
    scratch: Argument = None
    if isinstance(layer, Convolution) and _needs_scratch(layer, is_depthwise=is_depthwise):
        rows, columns = layer.windows.kernel
        kind_of_window = TensorType((rows, columns * x.kind.shape[0]), x.kind.kind)
        scratch = Pointer(writer.temporary(kind_of_window, (0, 1)).buffer, is_written=True)
    arguments = (f"&{found}", Pointer(x.buffer), stored)
    over = _over(layer, x, [(None, stored), *places], writer)
    writer.call(f"ql_{function}", *arguments, places=places, after=(scratch,), over=over)


def _is_of_places(operation: Operation) -> bool:
    """Return whether each window of a layer, if it is one, is the place that it makes."""
    if not isinstance(operation, Convolution):
        return True
    windows = operation.windows
    return windows.kernel == windows.stride == (1, 1) and not windows.is_padded


def _over(
    layer: Convolution | Linear,
    x: Placed,
    places: Sequence[tuple[Argument, Argument]],
    writer: Writer,
) -> Mapping[str, Mapping[str, Gap]]:
    """Return what each buffer that a layer writes may lie over, by its name."""
    types = writer.program.types
    result, given = types[layer.output].shape, x.kind.shape

    def places_of(shape: Sequence[int], kind: IntegerType) -> Places:
        size = np.dtype(kind.dtype).itemsize
        if isinstance(layer, Convolution):
            return Places(rows=shape[1], columns=shape[2], size=shape[0] * size)
        return Places(rows=prod(shape[:-1]), columns=1, size=shape[-1] * size)

    windows = layer.windows if isinstance(layer, Convolution) else Windows(kernel=(1, 1))
    found: dict[str, dict[str, Gap]] = {}
    for other, to in places:
        if not isinstance(to, Pointer):
            continue
        written = places_of(result, types[to.buffer].kind)
        gaps = found[to.buffer] = {}
        gaps[x.buffer] = window_gap(windows, places_of(given, x.kind.kind), written)
        if isinstance(other, Pointer) and other.buffer in types and other.buffer != x.buffer:
            gaps[other.buffer] = place_gap(places_of(result, types[other.buffer].kind), written)
    return found


def _needs_scratch(layer: Convolution, *, is_depthwise: bool) -> bool:
    """Return whether windows at the border cannot be taken in parts: their numbers beyond it are
    not zeros, or the part of a row of the kernel is no whole number of squares of weights."""
    if not layer.windows.is_padded:
        return False
    is_joined = layer.groups == layer.windows.dilation[1] == 1
    has_parts = is_depthwise or not is_joined or layer.weight.shape[1] % BLOCK == 0
    return bool(layer.padding_codes.any()) or not has_parts


def _is_depthwise(layer: Convolution) -> bool:
    """Return whether each output has one channel of its own."""
    return layer.groups == len(layer.weight) and layer.weight.shape[1] == 1


def _image(layer: Convolution, x: Placed) -> dict[str, int]:
    windows, (channels, rows, columns) = layer.windows, x.kind.shape
    result_rows, result_columns = windows.output_size(rows, columns)
    top, left, *_ = windows.padding
    return {
        "rows": rows,
        "columns": columns,
        "channels": channels,
        "result_rows": result_rows,
        "result_columns": result_columns,
        "kernel_rows": windows.kernel[0],
        "kernel_columns": windows.kernel[1],
        "stride_rows": windows.stride[0],
        "stride_columns": windows.stride[1],
        "dilation_rows": windows.dilation[0],
        "dilation_columns": windows.dilation[1],
        "groups": layer.groups,
        "top": top,
        "left": left,
    }


def _flat(layer: Linear, writer: Writer, name: str) -> tuple[Placed, NDArray[np.int8]]:
    """Return a fully connected layer's input, and its weights in the order in which it lies: an
    image that was flattened stays as it is."""
    x = writer.placed[name]
    if len(x.kind.shape) == 1:
        return x, layer.weight[:, x.numbers()]
    return writer.ordered(name, tuple(range(len(x.kind.shape)))), layer.weight


def _padding(layer: Convolution | Linear, writer: Writer) -> str:
    if isinstance(layer, Linear) or not (layer.windows.is_padded and layer.padding_codes.any()):
        return braces(["NULL", 0])
    return writer.shared_constants("padding", layer.padding_codes.astype(np.int16))
