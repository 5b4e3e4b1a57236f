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
    narrowed,
    splat,
    table,
)
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S32

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
    32 bits before they are clamped. power: results are the input times 2^power; None: they are
    not."""

    terms: tuple[Term, ...]
    offset: NDArray[np.int64]
    shift: int
    period: int
    is_short: bool
    power: int | None
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
        power=_power(multipliers, offset, shift) if S32.holds(*results) else None,
        low=operation.low,
        high=operation.high,
        output=output,
    )


def _power(
    multipliers: Sequence[NDArray[np.int32]], offset: NDArray[np.int64], shift: NDArray[np.int64]
) -> int | None:
    """Return the power of two that one input is multiplied by, which leaves nothing to round."""
    if len(multipliers) > 1 or (offset < 0).any() or (offset >> shift).any():
        return None
    power = int(multipliers[0][0]).bit_length() - 1 - int(shift[0])
    is_power = power >= 0 and (multipliers[0] == np.int64(1) << (shift + power)).all()
    return power if is_power else None


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
    at_once = 16 if output.element_bytes == 1 else 8
    constants = _Constants(writer, plan, count, at_once)
    with chunks(body, count, plan.period, at_once) as (index, place):
        at = body.new(place * 4)
        results = []
        for first in range(0, at_once, 4):
            result = _four(plan, writer, constants, index, at, first)
            for name, end in (("max", plan.low), ("min", plan.high)):
                if end not in (S32.minimum, S32.maximum):
                    result = vector(f"i32x4.{name}_s", result, splat(end, 32))
            results.append(result)
        to = index * output.element_bytes
        for number, value in enumerate(narrowed(output.tensor.kind, results)):
            body.store("v128.store", to, value, output.address + 16 * number)


def _four(
    plan: RescalePlan, writer: Writer, constants: "_Constants", index: I32, at: I32, first: int
) -> V128:
    """Return four results before they are clamped. at: where their constants lie; first: which four
    they are."""
    body = writer.body
    inputs = [
        load_four(
            term.place.tensor.kind,
            index * term.place.element_bytes,
            term.place.address + first * term.place.element_bytes,
        )
        for term in plan.terms
    ]
    if plan.power is not None:
        return vector("i32x4.shl", inputs[0], I32.of(plan.power)) if plan.power else inputs[0]
    sums = [constants.longs(plan.offset, at, first + 2 * half) for half in range(2)]
    for term, given in zip(plan.terms, inputs, strict=True):
        x = given
        if term.powers is not None:
            x = vector("i32x4.mul", x, constants.words(term.powers, at, first))
        x = body.new(x)
        factor = body.new(constants.words(term.multipliers, at, first))
        products = [vector(f"i64x2.extmul_{half}_i32x4_s", x, factor) for half in ("low", "high")]
        sums = [vector("i64x2.add", *pair) for pair in zip(sums, products, strict=True)]
    return _shortened(plan, [body.new(one) for one in sums], writer)


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

    def __init__(self, writer: Writer, plan: RescalePlan, count: int, at_once: int) -> None:
        self._writer, self._period, self._count = writer, plan.period, count
        self._at_once = at_once

    def words(self, values: NDArray[np.int32], at: I32, first: int) -> V128:
        """Return four of 32 bits. at: of the first of a chunk, in bytes; first: of these."""
        if len(np.unique(values)) == 1:
            return splat(int(values[0]), 32)
        return load(V128, "v128.load", at, self._address(values) + 4 * first)

    def longs(self, values: NDArray[np.int64], at: I32, first: int) -> V128:
        """Return two of 64 bits."""
        if len(np.unique(values)) == 1:
            return splat(int(values[0]), 64)
        return load(V128, "v128.load", at + at, self._address(values) + 8 * first)

    def _address(self, values: NDArray[Any]) -> int:
        values = table(values, self._period, self._at_once, self._count)
        return self._writer.constants.address(values)
