"""Operations that move integers."""

from collections.abc import Sequence

import numpy as np

from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.walks import load_integer, store_integer, walk
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Concatenate, Permute, Reshape, Slice
from quantlab.integer.tensor_type import S32


def reshape(operation: Reshape, writer: Writer) -> None:
    (given,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    if given.strides == output.strides or (not _are_moved(given) and not _are_moved(output)):
        body.copy(I32.of(output.address), I32.of(given.address), given.num_bytes)
        return
    offsets = _offsets(given).reshape(output.tensor.shape).transpose(output.order).reshape(-1)
    table = writer.constants.address(offsets)
    kind, element = output.tensor.kind, output.element_bytes
    with walk(body, [len(offsets)], [element], [4]) as (y_at, at):
        one = load_integer(kind, load_integer(S32, at, table), given.address)
        store_integer(body, kind, y_at, one, output.address)


def _are_moved(place: Place) -> bool:
    """Return whether elements lie in another order than that of their axes."""
    return len(place.tensor.shape) == 3 and place.tensor.shape[0] > 1 < np.prod(
        place.tensor.shape[1:]
    )


def _offsets(place: Place) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return where each element lies, in bytes, in the shape of the tensor."""
    axes = np.indices(place.tensor.shape, np.int32)
    offsets = np.tensordot(np.array(place.strides, np.int32), axes, 1)
    return offsets.astype(np.int32)


def permute(operation: Permute, writer: Writer) -> None:
    (given,), output = writer.inputs(operation), writer.output(operation)
    strides = [given.strides[axis] for axis in operation.axes]
    _move(writer, output.tensor.shape, strides, given.address, output, output.address)


def cut(operation: Slice, writer: Writer) -> None:
    (given,), output = writer.inputs(operation), writer.output(operation)
    axis = operation.axis
    strides = [s * (operation.step if i == axis else 1) for i, s in enumerate(given.strides)]
    start = given.address + operation.start * given.strides[axis]
    _move(writer, output.tensor.shape, strides, start, output, output.address)


def concatenate(operation: Concatenate, writer: Writer) -> None:
    output = writer.output(operation)
    to = output.address
    for given in writer.inputs(operation):
        _move(writer, given.tensor.shape, given.strides, given.address, output, to)
        to += given.tensor.shape[operation.axis] * output.strides[operation.axis]


def _move(
    writer: Writer,
    shape: Sequence[int],
    strides: Sequence[int],
    start: int,
    output: Place,
    to: int,
) -> None:
    """Write a copy of elements, from `start` on, `strides` apart, to `to`, as the output lies."""
    body, kind = writer.body, output.tensor.kind
    sizes = [shape[axis] for axis in output.order]
    ordered = [[s[axis] for axis in output.order] for s in (output.strides, strides)]
    with walk(body, sizes, *ordered) as (y_at, x_at):
        store_integer(body, kind, y_at, load_integer(kind, x_at, start), to)


EMITTERS: Emitters = {
    Concatenate: concatenate,
    Permute: permute,
    Reshape: reshape,
    Slice: cut,
}
