"""Thresholds: several elements at a time where they share a table, else one."""

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.chunks import along, chunks, load_four, splat, table
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.walks import load_integer, load_long, store_integer
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Threshold
from quantlab.integer.tensor_type import S8, S32

_MOST_THRESHOLDS = 127  # that are counted in signed bytes
_AT_ONCE = 16


def threshold(operation: Threshold, writer: Writer) -> None:
    (given,), output = writer.inputs(operation), writer.output(operation)
    channels = len(operation.thresholds)
    shape = [channels, *[1] * (len(given.tensor.shape) - 1)]
    period = along(given, shape)
    ends = reached_from(operation, writer.program.bounds[operation.inputs[0]])
    is_narrow = output.tensor.kind.num_bits == 8
    is_short = operation.thresholds.shape[1] <= _MOST_THRESHOLDS
    if period is None or ends is None or not is_narrow or not is_short:
        _one_by_one(operation, writer)
    else:
        _by_vectors(operation, writer, given, ends, period)


def reached_from(operation: Threshold, bound: Bound) -> NDArray[np.int32] | None:
    """Return from where on an input reaches each threshold, `[C, L]`, or no longer does where the
    sign is -1; None where this is beyond 32 bits.

    -x >= t is x <= -t, which is not x >= 1 - t.
    """
    signs = operation.signs[:, None].astype(object)
    thresholds = operation.thresholds.astype(object)
    ends = np.where(signs > 0, thresholds, 1 - thresholds)
    ends = ends.clip(bound.lowest, bound.highest + 1)
    if ends.size and not S32.holds(ends.min(), ends.max()):
        return None
    return ends.astype(np.int32)


def _by_vectors(
    operation: Threshold, writer: Writer, given: Place, ends: NDArray[np.int32], period: int
) -> None:
    output, body = writer.output(operation), writer.body
    kind, size = given.tensor.kind, given.element_bytes
    count = output.num_bytes
    flips = table(operation.signs.astype(np.int32) >> 1, period, _AT_ONCE, count).astype(np.int8)
    flip_at = writer.constants.address(flips)
    tables = [writer.constants.address(table(row, period, _AT_ONCE, count)) for row in ends.T]
    with chunks(body, count, period, _AT_ONCE) as (index, place):
        x_at = body.new(index * size)
        parts = [
            body.new(load_four(kind, x_at, given.address + 4 * size * part)) for part in range(4)
        ]
        at = body.new(place * 4)
        number = body.new(splat(0, 8))
        for address in tables:
            reached = [
                vector("i32x4.ge_s", x, load(V128, "v128.load", at, address + 16 * part))
                for part, x in enumerate(parts)
            ]
            shorts = [vector("i16x8.narrow_i32x4_s", *reached[i : i + 2]) for i in (0, 2)]
            mask = vector("i8x16.narrow_i16x8_s", *shorts)
            if (flips != 0).any():
                mask = vector("v128.xor", mask, load(V128, "v128.load", place, flip_at))
            body.set(number, vector("i8x16.sub", number, mask))
        code: V128 = number
        if operation.step != 1:
            code = _times(code, operation.step)
        if operation.low != 0:
            code = vector("i8x16.add", code, splat(operation.low, 8))
        body.store("v128.store", index, code, output.address)


def _times(bytes_of: V128, step: int) -> V128:
    """Return bytes times a constant, modulo 256: there is no such instruction."""
    low, high = (
        vector("i16x8.mul", vector(f"i16x8.extend_{half}_i8x16_u", bytes_of), splat(step, 16))
        for half in ("low", "high")
    )
    masked = [vector("v128.and", one, splat(0xFF, 16)) for one in (low, high)]
    return vector("i8x16.narrow_i16x8_u", *masked)


def _one_by_one(operation: Threshold, writer: Writer) -> None:
    (given,), output, body = writer.inputs(operation), writer.output(operation), writer.body
    channels, num_thresholds = operation.thresholds.shape
    num_axes = len(output.tensor.shape)
    row = [8 * num_thresholds if channels > 1 else 0, *[0] * (num_axes - 1)]
    sign_row = [1 if channels > 1 else 0, *[0] * (num_axes - 1)]
    thresholds = writer.constants.address(operation.thresholds)
    signs = writer.constants.address(operation.signs)
    with writer.elements(output, given.strides, row, sign_row) as (y_at, x_at, at, sign_at):
        sign = load_integer(S8, sign_at, signs).widened()
        x = body.new(load_integer(given.tensor.kind, x_at, given.address).widened() * sign)
        count = body.new(I32.of(0))
        for index in range(num_thresholds):
            body.set(count, count + (x >= load_long(at, thresholds + 8 * index)))
        code = count * operation.step + operation.low
        store_integer(body, output.tensor.kind, y_at, code, output.address)
