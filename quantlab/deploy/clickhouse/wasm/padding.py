"""What stands beyond the border of an image, laid around it."""

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.walks import load_integer, store_integer, walk
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.operations import Windows
from quantlab.integer.tensor_type import TensorType


def padded_type(given: TensorType, windows: Windows) -> TensorType:
    """Return an image `[C, H, W]` with all that windows reach."""
    top, left, bottom, right = windows.padding
    channels, height, width = given.shape
    below, beside = windows.overhang(height, width)
    shape = channels, top + height + bottom + below, left + width + right + beside
    return TensorType(shape, given.kind)


def padded_bytes(given: TensorType, windows: Windows) -> int:
    """Return how much memory `padded` needs."""
    if not windows.is_padded:
        return 0
    return Place(address=0, tensor=padded_type(given, windows)).num_bytes


def padded(
    writer: Writer, given: Place, windows: Windows, codes: NDArray[np.int32], to: int
) -> Place:
    """Write a copy of an image with each channel's code around it, `codes` of shape `[C]`; or
    return the image where no window reaches beyond it."""
    if not windows.is_padded:
        return given
    body, kind = writer.body, given.tensor.kind
    place = Place(address=to, tensor=padded_type(given.tensor, windows))
    channels, height, width = place.tensor.shape
    if len(np.unique(codes)) == 1 and kind.num_bits == 8:
        body.fill(I32.of(to), int(codes[0]) & 0xFF, place.num_bytes)
    else:
        table = writer.constants.address(codes.astype(kind.dtype))
        element = place.element_bytes
        steps = [channels * element, element], [0, element]
        with walk(body, [height * width, channels], *steps) as (at, code_at):
            store_integer(body, kind, at, load_integer(kind, code_at, table), to)
    a_row = given.strides[1]
    first = to + windows.padding[0] * place.strides[1] + windows.padding[1] * place.strides[2]
    with walk(body, [given.tensor.shape[1]], [place.strides[1]], [a_row]) as (to_at, from_at):
        body.copy(to_at + first, from_at + given.address, a_row)
    return place
