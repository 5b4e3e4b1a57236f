"""Loops over all elements of a tensor as it lies, several at a time.

The last vector may reach beyond the tensor, into bytes that no other one has.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, load, shuffled, vector
from quantlab.deploy.clickhouse.wasm.places import Place
from quantlab.integer.tensor_type import IntegerType

_WIDEN = {8: ("i16x8.extend_low_i8x16", "i32x4.extend_low_i16x8"), 16: ("i32x4.extend_low_i16x8",)}
_LOAD = {8: "v128.load32_zero", 16: "v128.load64_zero", 32: "v128.load"}


def along(place: Place, shape: Sequence[int]) -> int | None:
    """Return after how many elements of a tensor, as it lies, a constant begins anew that
    broadcasts against it; None where it does not.

    shape: of the constant.
    """
    own = (1,) * (len(place.tensor.shape) - len(shape)) + tuple(shape)
    varies = [axis for axis, size in enumerate(own) if size > 1]
    if not varies:
        return 1
    if varies == [place.order[-1]]:
        return own[varies[0]]
    return None


def table(values: NDArray[Any], period: int, at_once: int, count: int) -> NDArray[Any]:
    """Return a constant as vectors of `at_once` elements read it: `period` of them, again and
    again. count: of the tensor."""
    length = min(lcm(period, at_once), -(-count // at_once) * at_once)
    return np.resize(values.reshape(-1), length)


@contextmanager
def chunks(body: Body, count: int, period: int, at_once: int) -> Iterator[tuple[I32, I32]]:
    """Write a loop over `count` elements; yield the first of each vector, and its place in tables
    of this period."""
    length = lcm(period, at_once)
    if length == at_once or count <= at_once:
        with body.repeated(count, at_once) as index:
            yield index, I32.of(0)
        return
    if count <= length:
        with body.repeated(count, at_once) as index:
            yield index, index
        return
    place = body.new(I32.of(0))
    with body.repeated(count, at_once) as index:
        yield index, place
        following = place + at_once
        body.set(place, following.where(following.differs_from(length), 0))


def load_four(kind: IntegerType, address: I32, offset: int) -> V128:
    """Return four elements as 32 bits."""
    x = load(V128, _LOAD[kind.num_bits], address, offset)
    sign = "u" if kind.minimum == 0 else "s"
    for name in _WIDEN.get(kind.num_bits, ()):
        x = vector(f"{name}_{sign}", x)
    return x


def narrowed(kind: IntegerType, parts: Sequence[V128]) -> list[V128]:
    """Return lanes of 32 bits as a type that holds them, in fewer vectors."""
    sign = "u" if kind.minimum == 0 else "s"
    names = {
        32: (),
        16: ("i16x8.narrow_i32x4_s",),
        8: ("i16x8.narrow_i32x4_s", f"i8x16.narrow_i16x8_{sign}"),
    }[kind.num_bits]
    found = list(parts)
    for name in names:
        found = [vector(name, *found[i : i + 2]) for i in range(0, len(found), 2)]
    return found


def splat(value: int, num_bits: int) -> V128:
    """Return a constant in all lanes of so many bits."""
    one = (value % (1 << num_bits)).to_bytes(num_bits // 8, "little")
    return V128.constant(one * (128 // num_bits))


def halves(low: V128, high: V128, *, is_upper: bool) -> V128:
    """Return 32 bits of each of four lanes of 64 bits, in two vectors."""
    start = 4 if is_upper else 0
    return shuffled(low, high, [start + 8 * lane + byte for lane in range(4) for byte in range(4)])
