"""Rescaling of four elements at a time.

All lanes are shifted alike, by the largest shift S. A lane of the shift s is multiplied before by
2^(S - s): its offset, and of each product the multiplier or the input, whichever has the room.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.chunks import (
    along,
    chunks,
    halves,
    load_four,
    splat,
    store_four,
    table,
)  # fmt: skip
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S32

_AT_ONCE = 4
_Exact = NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """An input, the powers that it is multiplied by, if any, and its multipliers."""

    place: Place
    powers: NDArray[np.int32] | None
    multipliers: NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class RescalePlan:
    """See the module. Constants have one element or `period`. is_short: whether all results fit in
    32 bits before they are clamped."""

    terms: tuple[Term, ...]
    offset: NDArray[np.int64]
    shift: int
    period: int
    is_short: bool
    low: int
    high: int
    output: Place


def rescale_plan(operation: Rescale, writer: Writer) -> RescalePlan | None:
    """Return how an operation is computed by vectors; None where it has to be one by one."""
    given, output = writer.inputs(operation), writer.output(operation)
    if any(one.tensor.shape != output.tensor.shape for one in given):
        return None
    arrays: list[NDArray[Any]] = [*operation.multipliers, operation.offset, operation.shift]
    periods = [along(output, array.shape) for array in arrays]
    sizes = {period for period in periods if period != 1}
    if None in sizes or len(sizes) > 1:
        return None
    period = max((period for period in periods if period is not None), default=1)
    *multipliers, offset, shift = (np.resize(array.reshape(-1), period) for array in arrays)
    bounds = [writer.program.bounds[name] for name in operation.inputs]
    most = int(shift.max())
    powers = np.array([1 << int(most - one) for one in shift], object)
    terms = [
        _term(place, bound, multiplier, powers)
        for place, bound, multiplier in zip(given, bounds, multipliers, strict=True)
    ]
    found = [term for term in terms if term is not None]
    low, high = _ends(bounds, multipliers, offset)
    reach = max(abs(low * powers).max(), abs(high * powers).max())
    if len(found) < len(terms) or reach >= 1 << 62:
        return None
    results = [int((end >> shift.astype(object)).min()) for end in (low,)]
    results.append(int((high >> shift.astype(object)).max()))
    return RescalePlan(
        terms=tuple(found),
        offset=(offset.astype(object) * powers).astype(np.int64),
        shift=most,
        period=period,
        is_short=S32.holds(*results),
        low=operation.low,
        high=operation.high,
        output=output,
    )


def _term(place: Place, bound: Bound, multiplier: NDArray[np.int32], powers: _Exact) -> Term | None:
    scaled = multiplier.astype(object) * powers
    if S32.holds(scaled.min(), scaled.max()):
        return Term(place=place, powers=None, multipliers=scaled.astype(np.int32))
    reach = int(powers.max())
    if S32.holds(bound.lowest * reach, bound.highest * reach):
        return Term(place=place, powers=powers.astype(np.int32), multipliers=multiplier)
    return None


def _ends(
    bounds: Sequence[Bound], multipliers: Sequence[NDArray[np.int32]], offset: NDArray[np.int64]
) -> tuple[_Exact, _Exact]:
    """Return the least and largest sums, before the shift, and of all partial ones."""
    low = high = offset.astype(object)
    for bound, multiplier in zip(bounds, multipliers, strict=True):
        ends = [multiplier.astype(object) * end for end in (bound.lowest, bound.highest)]
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    return low, high


def write_rescaled(plan: RescalePlan, writer: Writer) -> None:
    """Write the operation."""
    output, body = plan.output, writer.body
    count = output.num_bytes // output.element_bytes
    constants = _Constants(writer, plan, count)
    with chunks(body, count, plan.period, _AT_ONCE) as (index, place):
        at = body.new(place * 4)
        sums = [constants.longs(plan.offset, at, half) for half in range(2)]
        for term in plan.terms:
            x_at = index * term.place.element_bytes
            x = load_four(term.place.tensor.kind, x_at, term.place.address)
            if term.powers is not None:
                x = vector("i32x4.mul", x, constants.words(term.powers, at))
            x = body.new(x)
            factor = body.new(constants.words(term.multipliers, at))
            products = [
                vector(f"i64x2.extmul_{half}_i32x4_s", x, factor) for half in ("low", "high")
            ]
            sums = [vector("i64x2.add", *pair) for pair in zip(sums, products, strict=True)]
        result = _shortened(plan, [body.new(one) for one in sums], writer)
        for name, end in (("max", plan.low), ("min", plan.high)):
            if end not in (S32.minimum, S32.maximum):
                result = vector(f"i32x4.{name}_s", result, splat(end, 32))
        store_four(body, output.tensor.kind, index * output.element_bytes, result, output.address)


def _shortened(plan: RescalePlan, sums: list[V128], writer: Writer) -> V128:
    """Return sums of 64 bits, shifted, as 32 bits: clamped first where they may not fit."""
    if plan.is_short and plan.shift >= 32:
        return vector("i32x4.shr_s", halves(*sums, is_upper=True), I32.of(plan.shift - 32))
    body = writer.body
    shifted = [body.new(vector("i64x2.shr_s", one, I32.of(plan.shift))) for one in sums]
    if not plan.is_short:
        for one in shifted:
            for end, is_low in ((plan.low, True), (plan.high, False)):
                limit = splat(end, 64)
                pair = (limit, one) if is_low else (one, limit)
                body.set(one, vector("v128.bitselect", limit, one, vector("i64x2.gt_s", *pair)))
    return halves(*shifted, is_upper=False)


class _Constants:
    """Constants as vectors: the same in all lanes, or from tables."""

    def __init__(self, writer: Writer, plan: RescalePlan, count: int) -> None:
        self._writer, self._period, self._count = writer, plan.period, count

    def words(self, values: NDArray[np.int32], at: I32) -> V128:
        """Return four of 32 bits. at: their place, in bytes."""
        if len(np.unique(values)) == 1:
            return splat(int(values[0]), 32)
        return load(V128, "v128.load", at, self._address(values))

    def longs(self, values: NDArray[np.int64], at: I32, half: int) -> V128:
        """Return two of 64 bits, of four."""
        if len(np.unique(values)) == 1:
            return splat(int(values[0]), 64)
        return load(V128, "v128.load", at + at, self._address(values) + 16 * half)

    def _address(self, values: NDArray[Any]) -> int:
        return self._writer.constants.address(table(values, self._period, _AT_ONCE, self._count))
