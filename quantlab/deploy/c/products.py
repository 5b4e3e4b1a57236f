"""Convolutions and fully connected layers, with what is made of their sums."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.overlap import Places, place_gap, window_gap
from quantlab.deploy.c.placed import Placed, channels_last
from quantlab.deploy.c.rows import define_compact, define_row, without_bias
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.weights import BLOCK, packed
from quantlab.deploy.c.writer import Argument, Pointer, Writer, c_type, owner
from quantlab.errors import UsageError
from quantlab.integer.groups import Group
from quantlab.integer.operations import Convolution, Linear, Windows
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
    is_left_out = _can_leave_out(group)
    places, made = _made(group, writer, is_left_out=is_left_out)
    fields: dict[str, Any] = {
        **sizes,
        "outputs": len(layer.bias),
        "weights": writer.constants("weights", np.ascontiguousarray(weights)),
        "bias": "NULL",
        "padding": _padding(layer, writer),
        "made": made,
        "num_made": len(group.made),
    }
    traced = f"    QL_TENSOR({writer.numbers[layer.output]})\n    QL_LEFT_OUT(%s)\n"
    if not layer.bias.any():
        traced %= "NULL"
    elif is_left_out:
        traced %= writer.traced_constants("bias", layer.bias)
    else:
        traced %= "NULL"
        fields["bias"] = writer.constants("bias", layer.bias)
    found = writer.structure("ql_product", "layer", fields, traced)
    order = _result_order(layer, writer)
    sums: Argument = None
    if group.is_read:
        sums = Pointer(writer.new(layer.output, order).buffer, is_written=True)
    else:
        writer.kept[layer.output] = _unplaced(writer, layer.output, order)
    kind = str(x.kind.kind)
    function = f"{'depthwise' if is_depthwise else 'product'}_{kind}"
    writer.runtime |= {function, "find_window", "fill_window", "finish_row"}
    writer.runtime |= {"make_rows", "load_row", "store_row"}
    scratch: Argument = None
    if isinstance(layer, Convolution) and _needs_scratch(layer, is_depthwise=is_depthwise):
        rows, columns = layer.windows.kernel
        kind_of_window = TensorType((rows, columns * x.kind.shape[0]), x.kind.kind)
        scratch = Pointer(writer.temporary(kind_of_window, (0, 1)).buffer, is_written=True)
    arguments = (f"&{found}", Pointer(x.buffer), sums)
    over = _over(layer, x, [(None, sums), *places], writer)
    writer.call(f"ql_{function}", *arguments, places=places, after=(scratch,), over=over)


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


def _result_order(layer: Convolution | Linear, writer: Writer) -> tuple[int, ...]:
    shape = writer.program.types[layer.output].shape
    return channels_last(shape) if isinstance(layer, Convolution) else tuple(range(len(shape)))


def _unplaced(writer: Writer, name: str, order: tuple[int, ...]) -> Placed:
    """Return how a tensor lies that is never stored."""
    kind = writer.program.types[name]
    return Placed(buffer="", kind=kind, axes=kind.shape, order=order)


def _can_leave_out(group: Group) -> bool:
    """Return whether what is made of a layer's sums can add their bias with its own constants."""
    layer = group.operation
    assert isinstance(layer, Convolution | Linear)
    return not group.is_read and all(
        one.source is not None or without_bias(one.operation, one.side, _shaped(layer)) is not None
        for one in group.made
    )


def _shaped(layer: Convolution | Linear) -> NDArray[np.int32]:
    """Return the bias in a shape that broadcasts against the sums."""
    return layer.bias[:, None, None] if isinstance(layer, Convolution) else layer.bias


def _row(group: Group, place: int, writer: Writer, *, is_left_out: bool) -> tuple[str, str, str]:
    """Define what makes a row; return the names of the function that makes it, or of the one that
    makes bytes in its place, and of its constants."""
    layer, one = group.operation, group.made[place]
    assert isinstance(layer, Convolution | Linear)
    operation, order = one.operation, _result_order(layer, writer)
    if one.source is None:
        found = define_compact(
            writer, operation, layer.bias if is_left_out else np.zeros_like(layer.bias)
        )
        if found is not None:
            return "NULL", *found
    if one.source is None and is_left_out:
        moved = without_bias(operation, one.side, _shaped(layer))
        assert moved is not None
        operation = moved
    shape = writer.program.types[operation.output].shape
    function, constants = define_row(writer, operation, one.side, order, shape)
    return function, "NULL", constants


def _made(
    group: Group, writer: Writer, *, is_left_out: bool
) -> tuple[list[tuple[Argument, Argument]], str]:
    """Return the places of what is made, and the name of the array that says how."""
    layer = group.operation
    assert isinstance(layer, Convolution | Linear)
    order = _result_order(layer, writer)
    places: list[tuple[Argument, Argument]] = []
    entries = []
    for place, one in enumerate(group.made):
        output = one.operation.output
        function, bytes_function, constants = _row(group, place, writer, is_left_out=is_left_out)
        other: Argument = None
        other_type = "QL_U8"
        if one.other is not None:
            found = writer.ordered(one.other, order)
            other, other_type = Pointer(found.buffer), c_type(found.kind)
        to: Argument = None
        if writer.is_read(output):
            to = Pointer(writer.new(output, order).buffer, is_written=True)
        else:
            writer.kept[output] = _unplaced(writer, output, order)
        places.append((other, to))
        source = 0 if one.source is None else one.source + 1
        kind = c_type(writer.program.types[output])
        entries.append(
            braces(
                [
                    f"QL_TENSOR({writer.numbers[output]}) .source = {source}",
                    f".type = {kind}",
                    f".other_type = {other_type}",
                    f".is_taken = {int(any(other.source == place for other in group.made))}",
                    f".function = {function}",
                    f".bytes = {bytes_function}",
                    f".constants = &{constants}",
                ]
            )
        )
    if not entries:
        return places, "NULL"
    return places, writer.table("ql_make", "made", entries)
