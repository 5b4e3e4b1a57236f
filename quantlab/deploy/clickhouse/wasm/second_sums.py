"""The sum of all inputs of each window, which all outputs share: of each pixel first, then of the
pixels of a window."""

from collections.abc import Sequence

import numpy as np

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.chunks import load_four, splat
from quantlab.deploy.clickhouse.wasm.expressions import I32, I64, V128, lane, load, vector
from quantlab.deploy.clickhouse.wasm.places import SLACK
from quantlab.deploy.clickhouse.wasm.plan import ELEMENT_BITS, Plan
from quantlab.deploy.clickhouse.wasm.walks import walk
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.tensor_type import S8

_MOST_COUNTED = 31  # vectors of bits, 8 in a byte, that a byte can count
_ZERO = V128.constant(bytes(16))


def second_bytes(plan: Plan) -> int:
    """Return how much memory the sums need: those of windows, then those of pixels."""
    return _window_bytes(plan) + 4 * _num_pixels(plan) + SLACK if plan.shared else 0


def write_second_sums(writer: Writer, plan: Plan, x: int, to: int) -> None:
    """Write the sum of each position's window, times what it counts, int32. x: the address of the
    inputs as they are multiplied."""
    pixels = to + _window_bytes(plan)
    _write_pixels(writer.body, plan, x, pixels)
    if plan.geometry.stride[1] == 1:
        _write_windows(writer.body, plan, pixels, to)
    else:
        _write_each_window(writer.body, plan, pixels, to)


def _window_bytes(plan: Plan) -> int:
    return 4 * plan.geometry.num_positions + SLACK


def _num_pixels(plan: Plan) -> int:
    return plan.geometry.padded_height * plan.geometry.padded_width


def _write_pixels(body: Body, plan: Plan, x: int, to: int) -> None:
    if plan.form == "bytes" and plan.geometry.channels == 1:
        with body.repeated(_num_pixels(plan), 4) as index:
            body.store("v128.store", index * 4, load_four(S8, index, x), to)
        return
    with walk(body, [_num_pixels(plan)], [plan.pixel_bytes], [4]) as (x_at, y_at):
        body.store("i32.store", y_at, _pixel(body, plan, x_at, x), to)


def _pixel(body: Body, plan: Plan, at: I32, x: int) -> I32:
    """Return the sum of a pixel's channels."""
    num_bits = plan.geometry.channels * ELEMENT_BITS[plan.form]
    if plan.is_counted and num_bits <= 64:
        word = load(I64, "i64.load", at, x)
        if num_bits < 64:
            word &= (1 << num_bits) - 1
        return word.count_ones().narrowed()
    total, first = body.new(_ZERO), body.new(at + x)
    whole, rest = divmod(num_bits, 128)
    at_once = _MOST_COUNTED if plan.is_counted else 1
    if whole >= at_once:
        with body.repeated(whole // at_once):
            _add_vectors(body, plan, first, total, at_once)
            body.set(first, first + 16 * at_once)
    if whole % at_once:
        _add_vectors(body, plan, first, total, whole % at_once)
    if rest:
        mask = V128.constant(((1 << rest) - 1).to_bytes(16, "little"))
        last = load(V128, "v128.load", first, 16 * (whole % at_once))
        _add(body, plan, total, _counted(plan, vector("v128.and", last, mask)))
    parts = [lane(total, index) for index in range(4)]
    return parts[0] + parts[1] + (parts[2] + parts[3])


def _add_vectors(body: Body, plan: Plan, at: I32, total: V128, count: int) -> None:
    """Write the sum of vectors, few enough for bytes to count their bits."""
    values = [_counted(plan, load(V128, "v128.load", at, 16 * number)) for number in range(count)]
    own = values[0]
    for value in values[1:]:
        own = vector("i8x16.add", own, value)
    _add(body, plan, total, own)


def _counted(plan: Plan, x: V128) -> V128:
    return vector("i8x16.popcnt", x) if plan.is_counted else x


def _add(body: Body, plan: Plan, total: V128, values: V128) -> None:
    """Write the sum of 16 bytes, of bits counts from 0, else signed."""
    sign = "u" if plan.is_counted else "s"
    pairs = vector(f"i16x8.extadd_pairwise_i8x16_{sign}", values)
    fours = vector(f"i32x4.extadd_pairwise_i16x8_{sign}", pairs)
    body.set(total, vector("i32x4.add", total, fours))


def _taps(plan: Plan, height: int, width: int) -> list[int]:
    """Return where each pixel of a window of this size lies among the sums, in bytes."""
    down, across = plan.geometry.dilation
    pixels = np.arange(height)[:, None] * down * plan.geometry.padded_width
    return [4 * int(pixel) for pixel in (pixels + np.arange(width) * across).reshape(-1)]


def _write_windows(body: Body, plan: Plan, pixels: int, to: int) -> None:
    """Four positions at a time; the last ones of a row reach into the next, which comes later."""
    geometry = plan.geometry
    height, width = geometry.kernel
    line = 4 * geometry.padded_width
    vectors = -(-geometry.columns // 4)
    if _has_room_for_rows(plan):
        with walk(body, [geometry.padded_height, vectors], [line, 16]) as (at,):
            total = _total(at, [pixels + tap for tap in _taps(plan, 1, width)])
            body.store("v128.store", at, total, pixels)
        width = 1
    steps = [geometry.stride[0] * line, 16], [4 * geometry.columns, 16]
    with walk(body, [geometry.rows, vectors], *steps) as (x_at, y_at):
        total = _total(x_at, [pixels + tap for tap in _taps(plan, height, width)])
        body.store("v128.store", y_at, vector("i32x4.mul", total, splat(plan.shared, 32)), to)


def _has_room_for_rows(plan: Plan) -> bool:
    """Return whether sums of a window's rows come first, which needs fewer additions, and can lie
    over those of pixels: the last vector of a row may not reach into the next one."""
    (height, width), columns = plan.geometry.kernel, plan.geometry.columns
    is_within = -(-columns // 4) * 4 <= plan.geometry.padded_width
    return height * width > height + width and is_within


def _total(at: I32, offsets: Sequence[int]) -> V128:
    """Return the sum of vectors at an address + offsets."""
    total = load(V128, "v128.load", at, offsets[0])
    for offset in offsets[1:]:
        total = vector("i32x4.add", total, load(V128, "v128.load", at, offset))
    return total


def _write_each_window(body: Body, plan: Plan, pixels: int, to: int) -> None:
    geometry = plan.geometry
    down = 4 * geometry.stride[0] * geometry.padded_width
    steps = [down, 4 * geometry.stride[1]], [4 * geometry.columns, 4]
    with walk(body, [geometry.rows, geometry.columns], *steps) as (x_at, y_at):
        total = I32.of(0)
        for tap in _taps(plan, *geometry.kernel):
            total = total + load(I32, "i32.load", x_at, pixels + tap)
        body.store("i32.store", y_at, total * plan.shared, to)
