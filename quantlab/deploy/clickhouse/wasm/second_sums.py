"""The sum of all inputs of each window, which all outputs share."""

import numpy as np

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, lane, load, vector
from quantlab.deploy.clickhouse.wasm.plan import ELEMENT_BITS, Plan
from quantlab.deploy.clickhouse.wasm.walks import walk
from quantlab.deploy.clickhouse.wasm.writer import Writer

_MOST_COUNTED = 31  # vectors of bits, 8 in a byte, that a byte can count
_ZERO = V128.constant(bytes(16))


def second_bytes(plan: Plan) -> int:
    """Return how much memory the sums need."""
    return 4 * plan.geometry.num_positions if plan.shared else 0


def write_second_sums(writer: Writer, plan: Plan, x: int, to: int) -> None:
    """Write the sum of each position's window, times what it counts, int32. x: the address of the
    inputs as they are multiplied."""
    body, geometry = writer.body, plan.geometry
    steps = (
        [geometry.stride[0] * plan.row_bytes, geometry.stride[1] * plan.pixel_bytes],
        [4 * geometry.columns, 4],
    )
    starts = [start * plan.pixel_bytes + x for start in geometry.run_starts]
    table = writer.constants.address(np.array(starts, np.int32))
    with walk(body, [geometry.rows, geometry.columns], *steps) as (x_at, y_at):
        total = body.new(_ZERO)
        with body.repeated(len(starts)) as run:
            at = body.new(x_at + load(I32, "i32.load", run * 4, table))
            _add_run(body, plan, at, total)
        parts = [lane(total, index) for index in range(4)]
        result = parts[0] + parts[1] + (parts[2] + parts[3])
        body.store("i32.store", y_at, result * plan.shared, to)


def _add_run(body: Body, plan: Plan, at: I32, total: V128) -> None:
    """Write the sum of a run, 128 bits at a time."""
    num_bits = plan.geometry.run_length * ELEMENT_BITS[plan.form]
    whole, rest = divmod(num_bits, 128)
    at_once = _MOST_COUNTED if plan.form == "bits" else 1
    if whole >= at_once:
        with body.repeated(whole // at_once):
            _add_vectors(body, plan, at, total, at_once)
            body.set(at, at + 16 * at_once)
    if whole % at_once:
        _add_vectors(body, plan, at, total, whole % at_once)
    if rest:
        mask = V128.constant(((1 << rest) - 1).to_bytes(16, "little"))
        last = load(V128, "v128.load", at, 16 * (whole % at_once))
        _add(body, plan, total, _counted(plan, vector("v128.and", last, mask)))


def _add_vectors(body: Body, plan: Plan, at: I32, total: V128, count: int) -> None:
    """Write the sum of vectors, few enough for bytes to count their bits."""
    values = [_counted(plan, load(V128, "v128.load", at, 16 * number)) for number in range(count)]
    own = values[0]
    for value in values[1:]:
        own = vector("i8x16.add", own, value)
    _add(body, plan, total, own)


def _counted(plan: Plan, x: V128) -> V128:
    return vector("i8x16.popcnt", x) if plan.form == "bits" else x


def _add(body: Body, plan: Plan, total: V128, values: V128) -> None:
    """Write the sum of 16 bytes, of bits counts from 0, else signed."""
    sign = "u" if plan.form == "bits" else "s"
    pairs = vector(f"i16x8.extadd_pairwise_i8x16_{sign}", values)
    fours = vector(f"i32x4.extadd_pairwise_i16x8_{sign}", pairs)
    body.set(total, vector("i32x4.add", total, fours))
