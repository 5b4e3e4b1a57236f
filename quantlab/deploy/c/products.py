"""Convolutions and fully connected layers, with what is made of their sums."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.intermittent.cut import Cut, cut_of, joined, sliced
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.intermittent.work import Work, is_one_tile
from quantlab.deploy.c.kernels.choice import factors_of, kernel_name
from quantlab.deploy.c.kernels.kernel import Factors, Stored
from quantlab.deploy.c.kernels.table import KERNELS
from quantlab.deploy.c.made import Sums, finish, keep_pooled
from quantlab.deploy.c.overlap import Places, place_gap, window_gap
from quantlab.deploy.c.placed import Placed, channels_last
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Argument, Pointer, Writer, c_type, check_sizes
from quantlab.integer.groups import Group
from quantlab.integer.operations import Convolution, Linear, Windows
from quantlab.integer.tensor_type import IntegerType, TensorType


def product(group: Group, writer: Writer) -> None:
    """Append the call of a layer."""
    layer = group.operation
    assert isinstance(layer, Convolution | Linear)
    factors, x = factors_in(layer, writer)
    sizes = {**sizes_in(layer, x.kind.shape), "outputs": len(layer.bias)}
    check_sizes(layer, sizes)
    shape = writer.program.types[layer.output].shape
    order = channels_last(shape) if isinstance(layer, Convolution) else tuple(range(len(shape)))
    kernel = KERNELS[kernel_name(writer.encodings[layer.output], factors)]
    cut = None if writer.power is None else cut_of(group, factors, kernel, writer.power)
    slices = sliced(factors, kernel, len(factors.weight) if cut is None else cut.outputs)
    kept = writer.weights[layer.output] = joined(slices)
    bias = layer.bias if kept.added is None else layer.bias + kept.added
    sums = Sums(group=group, order=order, bias=bias)
    lacks_bias = sums.can_lack_bias(writer.program)
    finished, stored, places = finish(sums, writer, lacks_bias=lacks_bias)
    has_bias = not lacks_bias and bias.any()
    weights = [_weights(one, writer) for one in slices]
    fields: dict[str, Any] = {
        **sizes,
        "is_gathered": int(kept.is_gathered),
        "is_of_places": int(kept.is_of_places),
        "weights": weights[0],
        "bias": writer.constants("bias", bias) if has_bias else "NULL",
        "padding": _padding(layer, writer),
        "finish": finished,
    }
    found = writer.structure("ql_product", "layer", fields)
    writer.runtime |= {name for one in slices for name in (one.function, *one.runtime)}
    scratch: Argument = None
    if kept.scratch is not None:
        scratch = Pointer(writer.temporary(kept.scratch, (0, 1)).buffer, is_written=True)
    work, patch = None, None
    if cut is not None and writer.power is not None:
        work = _work(cut, factors, list(zip(slices, weights, strict=True)), writer, writer.power)
        if cut.patch is not None:
            patch = Pointer(writer.temporary(cut.patch, (0, 1)).buffer, is_written=True)
    arguments = (f"&{found}", Pointer(x.buffer), stored)
    writer.call(
        f"ql_{kept.function}",
        *arguments,
        places=places,
        after=(scratch,),
        over=over_of(group, x, [(None, stored), *places], writer, kept.places_at_once),
        work=work,
        patch=patch,
    )
    keep_pooled(group, writer)


def _weights(kept: Stored, writer: Writer) -> str:
    """Define weights; return them as a pointer to bytes."""
    found = writer.constants("weights", kept.weights)
    return found if kept.weights.dtype == np.int8 else f"(const int8_t*){found}"


def _work(
    cut: Cut, factors: Factors, slices: Sequence[tuple[Stored, str]], writer: Writer, power: Power
) -> Work:
    """Return the work of a layer's call. slices: with the names of their weights."""
    parts, rows = cut.parts(factors), factors.num_places[0]
    instructions = cut.instructions * parts * rows / cut.rows
    if parts == 1 and (rows == cut.rows or is_one_tile(instructions, power)):
        return Work(instructions=instructions)
    entries = [braces([f"ql_{one.function}", weights]) for one, weights in slices]
    work = Work(
        instructions=instructions,
        rows=rows,
        form="tile_product",
        before=(writer.table("ql_slice", "slices", entries),),
        after=(str(np.dtype(factors.kind.dtype).itemsize),),
        last=(str(cut.outputs),),
        together=cut.rows,
        parts=parts,
    )
    if cut.patch is None:
        return work
    return replace(
        work,
        form="tile_columns",
        after=(c_type(TensorType((), factors.kind)),),
        last=(*work.last, str(cut.columns)),
        is_fixed=True,
    )


def over_of(
    group: Group,
    x: Placed,
    places: Sequence[tuple[Argument, Argument]],
    writer: Writer,
    at_once: int,
    *,
    is_by_pool: bool = False,
) -> Mapping[str, Mapping[str, Gap]]:
    """Return what each buffer that a layer writes may lie over, by its name. is_by_pool: as of
    `window_gap`."""
    types, layer = writer.program.types, group.operation
    result, given = types[layer.output].shape, x.kind.shape
    poolings = {one.result: one.pooling.windows for one in group.made if one.pooling is not None}

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
        pooling = poolings.get(to.buffer)
        written = places_of(types[to.buffer].shape, types[to.buffer].kind)
        gaps = found[to.buffer] = {}
        read = places_of(given, x.kind.kind)
        gaps[x.buffer] = window_gap(windows, read, written, pooling, at_once, is_by_pool=is_by_pool)
        if isinstance(other, Pointer) and other.buffer in types and other.buffer != x.buffer:
            added = places_of(result, types[other.buffer].kind)
            gaps[other.buffer] = place_gap(added, written, pooling, at_once)
    return found if not poolings else only_forward(found)


def only_forward(gaps: Mapping[str, Mapping[str, Gap]]) -> Mapping[str, Mapping[str, Gap]]:
    """Return the same of a layer that cannot go backward."""
    return {
        to: {name: replace(gap, backward=None) for name, gap in several.items()}
        for to, several in gaps.items()
    }


def factors_in(layer: Convolution | Linear, writer: Writer) -> tuple[Factors, Placed]:
    """Return what the layer's kernel multiplies, and its input."""
    found = factors_of(layer, writer.program)
    if isinstance(layer, Convolution):
        return found, writer.ordered(layer.inputs[0])
    x, weight = _flat(layer, writer, layer.inputs[0])
    return replace(found, weight=weight[:, None, None]), x


def sizes_in(layer: Convolution | Linear, shape: Sequence[int]) -> dict[str, int]:
    """Return the sizes of `ql_product`. shape: of the input."""
    if isinstance(layer, Convolution):
        return _image(layer, shape)
    rows = prod(shape[:-1])
    ones = ("kernel_rows", "kernel_columns", "groups", "stride_rows", "stride_columns")
    return {
        "rows": rows,
        "columns": 1,
        "channels": shape[-1],
        "result_rows": rows,
        "result_columns": 1,
        **dict.fromkeys((*ones, "dilation_rows", "dilation_columns"), 1),
        **dict.fromkeys(("top", "left"), 0),
    }


def _image(layer: Convolution, shape: Sequence[int]) -> dict[str, int]:
    windows, (channels, rows, columns) = layer.windows, shape
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
