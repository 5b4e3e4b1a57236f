"""Codes that are made of a layer's sums while these are local variables: those of one threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.chunks import splat
from quantlab.deploy.clickhouse.wasm.constants import Constants
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.thresholds import reached_from
from quantlab.integer.bounds import Bound
from quantlab.integer.groups import Group, grouped
from quantlab.integer.operations import Operation, Threshold
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S16


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """ends: from where on sums reach the threshold, `[O]`. flips: -1 where they are codes of the
    other level then, `[O]`. place: of the codes."""

    ends: NDArray[np.int32]
    flips: NDArray[np.int8]
    low: int
    step: int
    place: Place


def groups_of(program: Program, plans: Mapping[str, Plan]) -> list[Group]:
    """Return the operations of a program, layers with the threshold whose codes they make."""

    def can_make(operation: Operation, side: int, layer: Operation) -> bool:
        (shape, bound) = program.types[layer.output].shape, program.bounds[layer.output]
        is_layer = operation.inputs[0] == layer.output and layer.output in plans
        if not isinstance(operation, Threshold) or not is_layer or len(shape) not in (1, 3):
            return False
        plan, ends = plans[layer.output], reached_from(operation, bound)
        is_whole = plan.num_outputs % plan.lanes == 0 and operation.kind.num_bits == 8
        is_one = operation.thresholds.shape[1] == 1
        return is_whole and is_one and ends is not None and _fit(plan, ends)

    return grouped(program, can_make, most=1)


def _fit(plan: Plan, ends: NDArray[np.int32]) -> bool:
    return not plan.is_narrow or S16.holds(int(ends.min()), int(ends.max()))


def codes_of(operation: Threshold, plan: Plan, bound: Bound, place: Place) -> Codes:
    """Return what makes the codes of a threshold that `groups_of` has put behind a layer."""
    ends = reached_from(operation, bound)
    assert ends is not None
    return Codes(
        ends=np.resize(ends.reshape(-1), plan.num_outputs),
        flips=np.resize(operation.signs >> 1, plan.num_outputs),
        low=operation.low,
        step=operation.step,
        place=place,
    )


class CodeWriter:
    """Writes the codes of blocks of outputs, from the output `first` on."""

    def __init__(self, constants: Constants, plan: Plan, codes: Codes, first: int) -> None:
        self._plan, self._codes, self._first = plan, codes, first
        ends = codes.ends.astype(np.int16) if plan.is_narrow else codes.ends
        size = ends.dtype.itemsize
        self._ends = constants.address(ends) + first * size
        self._flips = constants.address(codes.flips) + first if codes.flips.any() else None

    def end(self, sums_at: I32, number: int) -> V128:
        """Return the thresholds of a vector. sums_at: of the block's first output, in bytes as
        constants of its sums have."""
        return load(V128, "v128.load", sums_at, self._ends + 16 * number)

    def reached(self, total: V128, end: V128) -> V128:
        """Return -1 in the lanes that reach the threshold, 0 in others."""
        return vector("i16x8.ge_s" if self._plan.is_narrow else "i32x4.ge_s", total, end)

    def store(self, body: Body, masks: Sequence[V128], output: I32, position: I32, at: int) -> None:
        """Write the codes of a position. output: the block's first output, counted from `first`.
        position: the first one of the block; at: how many lie before this one."""
        count = self._plan.lanes * len(masks)
        to = body.new(position * self._plan.num_outputs + output)
        place = self._codes.place.address + at * self._plan.num_outputs + self._first
        for start, mask in enumerate(self._bytes(masks)):
            code = mask
            if self._flips is not None:
                flip = load(V128, "v128.load", output, self._flips + 16 * start)
                code = vector("v128.xor", code, flip)
            code = vector("v128.and", code, splat(self._codes.step, 8))
            if self._codes.low:
                code = vector("i8x16.add", code, splat(self._codes.low, 8))
            _store_bytes(body, to, code, place + 16 * start, min(16, count - 16 * start))

    def _bytes(self, masks: Sequence[V128]) -> list[V128]:
        """Return masks as bytes, 16 in each vector."""
        shorts = list(masks)
        if not self._plan.is_narrow:
            shorts = _pairs("i16x8.narrow_i32x4_s", shorts)
        return _pairs("i8x16.narrow_i16x8_s", shorts)


def _pairs(name: str, parts: Sequence[V128]) -> list[V128]:
    """Return each two vectors as one; the last one of an odd number twice."""
    return [
        vector(name, parts[i], parts[min(i + 1, len(parts) - 1)]) for i in range(0, len(parts), 2)
    ]


def _store_bytes(body: Body, to: I32, value: V128, place: int, count: int) -> None:
    """Store the first 4, 8, 12 or 16 bytes of a vector."""
    if count == 16:
        body.store("v128.store", to, value, place)
        return
    own = body.new(value)
    if count >= 8:
        body.store_lane("v128.store64_lane", to, own, 0, place)
    if count != 8:
        body.store_lane("v128.store32_lane", to, own, count // 4 - 1, place + count - 4)
