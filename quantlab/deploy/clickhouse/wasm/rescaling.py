"""Operations that give each integer another one: rescaling, thresholds, tables."""

from quantlab.deploy.clickhouse.wasm.rescaled_vectors import rescale_plan, write_rescaled
from quantlab.deploy.clickhouse.wasm.thresholds import threshold
from quantlab.deploy.clickhouse.wasm.walks import load_integer, load_long, store_integer
from quantlab.deploy.clickhouse.wasm.writer import Writer, broadcast_place
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Add, Lookup, Requantize, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S32


def rescale(operation: Rescale, writer: Writer) -> None:
    plan = rescale_plan(operation, writer)
    if plan is None:
        _one_by_one(operation, writer)
    else:
        write_rescaled(plan, writer)


def _one_by_one(operation: Rescale, writer: Writer) -> None:
    given, output, body = writer.inputs(operation), writer.output(operation), writer.body
    num_axes = len(output.tensor.shape)
    multipliers = [writer.constant(one, num_axes) for one in operation.multipliers]
    offset, offset_strides = writer.constant(operation.offset, num_axes)
    shift, shift_strides = writer.constant(operation.shift, num_axes)
    strides = [
        *(broadcast_place(one) for one in given),
        *(one for _, one in multipliers),
        offset_strides,
        shift_strides,
    ]
    with writer.elements(output, *strides) as (y_at, *at):
        sides, factors = at[: len(given)], at[len(given) : -2]
        total = load_long(at[-2], offset)
        for place, x_at, (multiplier, _), factor_at in zip(
            given, sides, multipliers, factors, strict=True
        ):
            x = load_integer(place.tensor.kind, x_at, place.address)
            total = total + x.widened() * load_integer(S32, factor_at, multiplier).widened()
        shifted = body.new(total >> load_long(at[-1], shift))
        low = body.new(shifted.at_least(operation.low))
        code = low.at_most(operation.high).narrowed()
        store_integer(body, output.tensor.kind, y_at, code, output.address)


def lookup(operation: Lookup, writer: Writer) -> None:
    (given,), output = writer.inputs(operation), writer.output(operation)
    kind = output.tensor.kind
    table = writer.constants.address(operation.table.astype(kind.dtype))
    lowest = given.tensor.kind.minimum
    with writer.elements(output, given.strides) as (y_at, x_at):
        index = load_integer(given.tensor.kind, x_at, given.address) - lowest
        code = load_integer(kind, index * output.element_bytes, table)
        store_integer(writer.body, kind, y_at, code, output.address)


EMITTERS: Emitters = {
    Add: rescale,
    Lookup: lookup,
    Requantize: rescale,
    Threshold: threshold,
}
