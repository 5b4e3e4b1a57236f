"""The inputs of a layer as its plan multiplies them, with the padding around them."""

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, lanes, load, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.plan import ELEMENT_BITS, Plan
from quantlab.deploy.clickhouse.wasm.walks import load_integer, store_integer, walk
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.tensor_type import S8, S16, IntegerType


def needs_copy(plan: Plan, kind: IntegerType) -> bool:
    """Return whether inputs of a type are multiplied as something else than they are."""
    if plan.geometry.is_padded or plan.is_counted:
        return True
    return kind != S16 if plan.form == "shorts" else plan.low != 0


def lay_out(writer: Writer, plan: Plan, given: Place, to: int) -> int:
    """Write the inputs as they are multiplied, to `to`, or not at all; return where they lie."""
    kind, geometry = given.tensor.kind, plan.geometry
    if not needs_copy(plan, kind):
        return given.address
    if geometry.is_padded:
        _fill(writer, plan, to)
    count = geometry.width * geometry.channels
    rows = geometry.height
    if not geometry.is_padded:
        count, rows = count * rows, 1
    first = to + geometry.padding[0] * plan.row_bytes + geometry.padding[1] * plan.pixel_bytes
    steps = [plan.row_bytes], [count * given.element_bytes]
    with walk(writer.body, [rows], *steps) as (to_at, from_at):
        _convert(writer.body, plan, kind, count, from_at + given.address, to_at + first)
    return to


def _fill(writer: Writer, plan: Plan, to: int) -> None:
    """Write the padding into all of the image."""
    pixel, body = _pixel(plan), writer.body
    if len(np.unique(pixel)) == 1:
        body.fill(I32.of(to), int(pixel[0]), plan.operand_bytes)
        return
    table = writer.constants.address(pixel)
    count = plan.operand_bytes // len(pixel)
    with walk(body, [count, len(pixel)], [len(pixel), 1], [0, 1]) as (at, code_at):
        store_integer(body, S8, at, load_integer(S8, code_at, table), to)


def _pixel(plan: Plan) -> NDArray[np.uint8]:
    """Return the bytes of a pixel of padding."""
    codes = plan.padding_codes
    if plan.is_counted:
        return np.packbits((codes >> plan.low & 1).astype(np.uint8), bitorder="little")
    if plan.form == "bytes":
        return (codes - plan.low & 0xFF).astype(np.uint8)
    return codes.astype("<i2").view(np.uint8)


def _convert(body: Body, plan: Plan, kind: IntegerType, count: int, source: I32, to: I32) -> None:
    """Write a run of elements as they are multiplied."""
    given, made = kind.num_bits // 8, ELEMENT_BITS[plan.form]
    at_once = 8 if plan.form == "shorts" else 16
    source, to = body.new(source), body.new(to)
    full, rest = divmod(count, at_once)
    if full:
        with body.repeated(full) as index:
            first = source + index * (at_once * given)
            place = to + index * (at_once * made // 8)
            _convert_vector(body, plan, kind, body.new(first), place)
    if not rest:
        return
    if plan.is_counted:
        last = source + full * at_once
        bits = _bits(plan, load(V128, "v128.load", last))
        body.store("i32.store16" if rest > 8 else "i32.store8", to + full * 2, bits)
    elif full:  # some of them once more
        place = to + (count - at_once) * made // 8
        first = source + (count - at_once) * given
        _convert_vector(body, plan, kind, body.new(first), place)
    else:
        wide = S16 if plan.form == "shorts" else S8
        with walk(body, [rest], [made // 8], [given]) as (y_at, x_at):
            one = load_integer(kind, source + x_at, 0) - plan.low
            store_integer(body, wide, to + y_at, one, 0)


def _convert_vector(body: Body, plan: Plan, kind: IntegerType, source: I32, to: I32) -> None:
    if plan.is_counted:
        body.store("i32.store16", to, _bits(plan, load(V128, "v128.load", source)))
        return
    loads = {"u8": "i16x8.load8x8_u", "s8": "i16x8.load8x8_s", "s16": "v128.load"}
    name = loads[kind.name] if plan.form == "shorts" else "v128.load"
    x = load(V128, name, source)
    if plan.low:
        x = vector("i8x16.sub", x, V128.constant(bytes([plan.low & 0xFF] * 16)))
    body.store("v128.store", to, x)


def _bits(plan: Plan, x: V128) -> I32:
    """Return the bit of each of 16 bytes that the plan counts."""
    top = x if plan.low == 7 else vector("i8x16.shl", x, I32.of(7 - plan.low))
    return lanes("i8x16.bitmask", top)
