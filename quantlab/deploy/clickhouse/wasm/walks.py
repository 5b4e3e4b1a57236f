"""Loops over the elements of tensors, one at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, I64, Expression, load
from quantlab.integer.tensor_type import IntegerType

Strides = Sequence[int]

_LOADS = {
    "u8": "i32.load8_u", "s8": "i32.load8_s", "u16": "i32.load16_u", "s16": "i32.load16_s",
    "s32": "i32.load",
}  # fmt: skip
_STORES = {8: "i32.store8", 16: "i32.store16", 32: "i32.store"}


@contextmanager
def walk(body: Body, sizes: Sequence[int], *operands: Strides) -> Iterator[list[I32]]:
    """Write loops over axes, the first one outermost, and yield the offset of each operand.

    operands: of each the bytes between neighbors along the axes.
    """
    with _nested(body, sizes, operands, [I32.of(0)] * len(operands)) as offsets:
        yield offsets


@contextmanager
def _nested(
    body: Body, sizes: Sequence[int], operands: Sequence[Strides], outer: list[I32]
) -> Iterator[list[I32]]:
    if not sizes:
        yield outer
        return
    with body.repeated(sizes[0]) as index:
        if sizes[0] == 1:
            offsets = outer
        else:
            steps = [strides[0] for strides in operands]
            offsets = [
                body.new(offset + index * step) if step else offset
                for offset, step in zip(outer, steps, strict=True)
            ]
        with _nested(body, sizes[1:], [strides[1:] for strides in operands], offsets) as inner:
            yield inner


def load_integer(kind: IntegerType, offset: I32, address: int) -> I32:
    """Return an element of a type."""
    return load(I32, _LOADS[kind.name], offset, address)


def load_long(offset: I32, address: int) -> I64:
    """Return an int64."""
    return load(I64, "i64.load", offset, address)


def store_integer(body: Body, kind: IntegerType, offset: I32, value: Expression, to: int) -> None:
    """Store an element of a type."""
    body.store(_STORES[kind.num_bits], offset, value, to)
