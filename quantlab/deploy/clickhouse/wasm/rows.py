"""The function that ClickHouse calls: rows in, results out, in the format RowBinary.

A row is an image, its integers in C order, and the number of the tensor to return, 16 bits. A
result is text: its length in LEB128, then its bytes.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from quantlab.deploy.clickhouse.wasm.binary import Function
from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.buffers import bytes_of, size_of
from quantlab.deploy.clickhouse.wasm.constants import Constants
from quantlab.deploy.clickhouse.wasm.expressions import I32, load
from quantlab.deploy.clickhouse.wasm.leb128 import unsigned
from quantlab.deploy.clickhouse.wasm.places import Place, c_strides
from quantlab.deploy.clickhouse.wasm.walks import Strides, load_integer, store_integer, walk

NUMBER_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a number selects. step: how many steps make it. parts: the functions that write its
    tensors, with the bytes of each."""

    step: int
    parts: Sequence[tuple[int, int]]

    @property
    def header(self) -> bytes:
        return unsigned(sum(size for _, size in self.parts))

    @property
    def num_bytes(self) -> int:
        return len(self.header) + sum(size for _, size in self.parts)


def take(place: Place) -> Function:
    """Return the function that lays out an image, given its address."""
    body = Body([I32])
    source, kind = body.parameter(I32, 0), place.tensor.kind
    if _c_strides(place) == place.strides:
        body.copy(I32.of(place.address), source, place.num_bytes)
    else:
        with _in_order(body, place) as (at, given):
            one = load_integer(kind, source + given, 0)
            store_integer(body, kind, at, one, place.address)
    return Function(body=body, num_parameters=1)


def put(place: Place) -> Function:
    """Return the function that writes a tensor in C order to an address."""
    body = Body([I32])
    to, kind = body.parameter(I32, 0), place.tensor.kind
    if _c_strides(place) == place.strides:
        body.copy(to, I32.of(place.address), place.num_bytes)
    else:
        with _in_order(body, place) as (at, wanted):
            one = load_integer(kind, at, place.address)
            store_integer(body, kind, to + wanted, one, 0)
    return Function(body=body, num_parameters=1)


def _c_strides(place: Place) -> Strides:
    return c_strides(place.tensor.shape, place.element_bytes)


def _in_order(body: Body, place: Place) -> AbstractContextManager[list[I32]]:
    """Write a loop over a tensor as it lies, with its offset here and in C order."""
    sizes = [place.tensor.shape[axis] for axis in place.order]
    strides = _c_strides(place)
    own = [place.strides[axis] for axis in place.order]
    return walk(body, sizes, own, [strides[axis] for axis in place.order])


def run(take_image: int, steps: Sequence[int], results: Sequence[Result]) -> Function:
    """Return the function that computes a row's result: of the addresses of the image and of the
    result, and the number of the tensor.

    take_image, steps: functions. results: by their numbers, from 0.
    """
    body = Body([I32, I32, I32])
    source, to, number = (body.parameter(I32, index) for index in range(3))
    body.call(take_image, source)
    for step in range(len(steps) + 1):
        for selected, result in enumerate(results):
            if result.step == step and selected:
                with body.when(number.equals(selected)):
                    _write(body, result, to)
                    body.leave()
        if step < len(steps):
            body.call(steps[step], number)
    _write(body, results[0], to)
    return Function(body=body, num_parameters=3)


def _write(body: Body, result: Result, to: I32) -> None:
    for place, byte in enumerate(result.header):
        body.store("i32.store8", to, I32.of(byte), place)
    offset = len(result.header)
    for function, size in result.parts:
        body.call(function, to + offset)
        offset += size


def classify(
    row_bytes: int,
    results: Sequence[Result],
    constants: Constants,
    allocate: int,
    run_row: int,
    most_bytes: int,
) -> Function:
    """Return the function that ClickHouse calls, of the buffer of rows and their number.

    Rows of another size, and numbers of no tensor, are errors. most_bytes: of all results.
    """
    body = Body([I32, I32])
    given, count = body.parameter(I32, 0), body.parameter(I32, 1)
    a_row = row_bytes + NUMBER_BYTES
    with body.when(size_of(given).differs_from(count * a_row)):
        body.trap()
    sizes = constants.address(np.array([one.num_bytes for one in results], np.int32))
    first = body.new(bytes_of(given))
    source, total = body.new(first), body.new(I32.of(0))
    with body.repeated_to(count):
        number = body.new(load(I32, "i32.load16_u", source, row_bytes))
        with body.when(number.unsigned_above(len(results) - 1)):
            body.trap()
        body.set(total, total + load(I32, "i32.load", number * 4, sizes))
        with body.when(total.unsigned_above(most_bytes)):
            body.trap()
        body.set(source, source + a_row)
    answer = body.new(body.result_of(allocate, total))
    to = body.new(bytes_of(answer))
    body.set(source, first)
    with body.repeated_to(count):
        number = body.new(load(I32, "i32.load16_u", source, row_bytes))
        body.call(run_row, source, to, number)
        body.set(to, to + load(I32, "i32.load", number * 4, sizes))
        body.set(source, source + a_row)
    body.give(answer)
    return Function(body=body, num_parameters=2, has_result=True)
