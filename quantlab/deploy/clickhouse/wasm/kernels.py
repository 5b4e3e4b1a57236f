"""Sums of products, four outputs in the lanes of a vector.

A block is a few positions and a few vectors of outputs, whose sums are local variables. For each
word of 32 bits of a window the weights of four outputs are one vector, and the inputs of a position
are that word in all four lanes. The bounds of memory are checked by a comparison at each load, so
that inputs are loaded 128 bits at a time, and each word is taken from there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, lane, load, shuffled, vector
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.writer import Writer

LANES = 4
_MOST_STEPS = 480  # products written one after the other; more are a loop
_MOST_WORDS = 28  # of a part of a run, whose bits are counted in bytes
_MOST_COUNTED = 31  # words of bits, 8 in a byte, that a byte can count
_CHUNK = 4  # words of a vector of inputs
_ZERO = V128.constant(bytes(16))


@dataclass(frozen=True, kw_only=True)
class Operand:
    """x: the address of the inputs as they are multiplied. y: of the sums. shared: of the second
    sum of each position; None: there is none."""

    x: int
    y: int
    shared: int | None


def write_sums(writer: Writer, plan: Plan, operand: Operand) -> None:
    """Write the sums of all positions and outputs, int32, channels last."""
    whole, rest = divmod(plan.num_outputs, LANES)
    at_once = min(4, whole)
    first = 0
    for count, num_vectors, num_lanes in (
        (whole // at_once if at_once else 0, at_once, LANES),
        (1, whole % at_once if at_once else 0, LANES),
        (1, 1 if rest else 0, rest),
    ):
        if count and num_vectors:
            outputs = slice(first, first + count * num_vectors * LANES)
            _Blocks(writer, plan, operand, outputs, num_vectors, num_lanes).write()
            first = outputs.stop


class _Blocks:
    """The blocks of a range of outputs, `num_vectors` of them at once."""

    def __init__(
        self,
        writer: Writer,
        plan: Plan,
        operand: Operand,
        outputs: slice,
        num_vectors: int,
        num_lanes: int,
    ) -> None:
        self._body, self._plan, self._operand = writer.body, plan, operand
        self._outputs, self._num_vectors, self._num_lanes = outputs, num_vectors, num_lanes
        self._constants = writer.constants
        words = packed(plan, outputs, num_vectors)
        self._weights = self._constants.address(words)
        self._block_bytes = words[0].nbytes
        bias = np.zeros(outputs.stop - outputs.start, np.int32)
        own = plan.bias[outputs]
        bias[: len(own)] = own
        self._bias = self._constants.address(bias)
        self._num_blocks = len(words)

    def write(self) -> None:
        body, plan, geometry = self._body, self._plan, self._plan.geometry
        at_once = next(
            (count for count in (4, 3, 2) if geometry.columns % count == 0),
            min(2, geometry.columns),
        )
        if self._num_vectors > 2:
            at_once = min(at_once, 2)
        across = geometry.stride[1] * plan.pixel_bytes
        with body.repeated(self._num_blocks) as block:
            weights = body.new(block * self._block_bytes + self._weights)
            offset = body.new(block * (16 * self._num_vectors))
            with body.repeated(geometry.rows) as row:
                x_row = body.new(row * (geometry.stride[0] * plan.row_bytes) + self._operand.x)
                first = body.new(row * geometry.columns)
                whole, rest = divmod(geometry.columns, at_once)
                with body.repeated(whole) as column:
                    x = body.new(x_row + column * (at_once * across))
                    self._write_block(
                        at_once, x, weights, offset, body.new(first + column * at_once)
                    )
                if rest:
                    x = body.new(x_row + whole * at_once * across)
                    place = body.new(first + whole * at_once)
                    self._write_block(rest, x, weights, offset, place)

    def _write_block(
        self, num_positions: int, x: I32, weights: I32, offset: I32, place: I32
    ) -> None:
        """offset: of the first output, in bytes. place: the number of the first position."""
        body, plan = self._body, self._plan
        sums = _Sums(body, plan, num_positions, self._num_vectors)
        self._write_products(sums, x, body.new(weights))
        outputs = self._outputs.start
        y = body.new(place * (4 * plan.num_outputs) + offset + (self._operand.y + 4 * outputs))
        shared = body.new(place * 4)
        for number in range(self._num_vectors):
            bias = body.new(load(V128, "v128.load", offset, self._bias + 16 * number))
            for position in range(num_positions):
                total = vector("i32x4.add", sums.total(position, number), bias)
                if self._operand.shared is not None:
                    at = self._operand.shared + 4 * position
                    second = load(V128, "v128.load32_splat", shared, at)
                    total = vector("i32x4.add", total, second)
                at = 4 * position * plan.num_outputs + 16 * number
                self._store(y, total, at)

    def _store(self, y: I32, total: V128, at: int) -> None:
        if self._num_lanes == LANES:
            self._body.store("v128.store", y, total, at)
            return
        value = self._body.new(total)
        for index in range(self._num_lanes):
            self._body.store("i32.store", y, lane(value, index), at + 4 * index)

    def _write_products(self, sums: "_Sums", x: I32, weights: I32) -> None:
        """Write all runs of a window, in loops where they are long."""
        body, plan, geometry = self._body, self._plan, self._plan.geometry
        starts = [start * plan.pixel_bytes for start in geometry.run_starts]
        a_word = 16 * self._num_vectors
        words = plan.run_words
        if len(starts) * words * sums.count <= _MOST_STEPS:
            for index, start in enumerate(starts):
                self._write_run(sums, x, start, weights, index * words * a_word, words)
            sums.end()
            return
        table = self._constants.address(np.array(starts, np.int32))
        with body.repeated(len(starts)) as run:
            at = body.new(x + load(I32, "i32.load", run * 4, table))
            if words * sums.count <= _MOST_STEPS:
                self._write_run(sums, at, 0, weights, 0, words)
                rest = words
            else:
                count, rest = divmod(words, _MOST_WORDS)
                with body.repeated(count):
                    self._write_run(sums, at, 0, weights, 0, _MOST_WORDS)
                    sums.end()
                    body.set(at, at + 4 * _MOST_WORDS)
                    body.set(weights, weights + _MOST_WORDS * a_word)
                self._write_run(sums, at, 0, weights, 0, rest)
            sums.end()
            body.set(weights, weights + rest * a_word)

    def _write_run(
        self, sums: "_Sums", x: I32, start: int, weights: I32, first: int, words: int
    ) -> None:
        """Write products one after the other. start: of inputs, first: of weights, in bytes."""
        body = self._body
        for chunk in range(0, words, _CHUNK):
            count = min(_CHUNK, words - chunk)
            sums.begin(count)
            inputs = [
                body.new(load(V128, "v128.load", x, start + 4 * chunk + position * self._across))
                for position in range(sums.num_positions)
            ]
            for word in range(count):
                places = [4 * word + byte for byte in range(4)] * LANES
                splats = [body.new(shuffled(one, one, places)) for one in inputs]
                for number in range(self._num_vectors):
                    at = first + ((chunk + word) * self._num_vectors + number) * 16
                    weight = body.new(load(V128, "v128.load", weights, at))
                    for position, splat in enumerate(splats):
                        sums.add(position, number, weight, splat)

    @property
    def _across(self) -> int:
        """Bytes from a position to the next one."""
        return self._plan.geometry.stride[1] * self._plan.pixel_bytes


class _Sums:
    """The sums of a block, as local variables."""

    def __init__(self, body: Body, plan: Plan, num_positions: int, num_vectors: int) -> None:
        self._body, self._plan = body, plan
        self.num_positions = num_positions
        self.count = num_positions * num_vectors
        self._num_vectors, self._counted = num_vectors, 0
        self._totals = [body.new(_ZERO) for _ in range(self.count)]
        self._bytes = [body.new(_ZERO) for _ in range(self.count if plan.form == "bits" else 0)]

    def begin(self, num_words: int) -> None:
        """Make room for so many words."""
        if self._counted + num_words > _MOST_COUNTED:
            self.end()
        self._counted += num_words

    def add(self, position: int, number: int, weight: V128, x: V128) -> None:
        """Add the products of a word."""
        index = position * self._num_vectors + number
        if self._plan.form == "bits":
            counts = vector("i8x16.popcnt", vector("v128.and", weight, x))
            own = self._bytes[index]
            self._body.set(own, vector("i8x16.add", own, counts))
            return
        own = self._totals[index]
        if self._plan.form == "shorts":
            products = vector("i32x4.dot_i16x8_s", weight, x)
            self._body.set(own, vector("i32x4.add", own, products))
            return
        signed, small = (weight, x) if self._plan.are_inputs_small else (x, weight)
        name = "i32x4.relaxed_dot_i8x16_i7x16_add_s"
        self._body.set(own, vector(name, signed, small, own))

    def end(self) -> None:
        """Add what bytes have counted to the sums."""
        self._counted = 0
        for own, counts in zip(self._totals, self._bytes, strict=False):  # none but of bits
            wide = vector("i16x8.extadd_pairwise_i8x16_u", counts)
            self._body.set(
                own, vector("i32x4.add", own, vector("i32x4.extadd_pairwise_i16x8_u", wide))
            )
            self._body.set(counts, _ZERO)

    def total(self, position: int, number: int) -> V128:
        """Return a sum times the plan's factor."""
        own = self._totals[position * self._num_vectors + number]
        factor = self._plan.factor
        if factor == 1:
            return own
        if factor > 0 and factor & (factor - 1) == 0:
            return vector("i32x4.shl", own, I32.of(factor.bit_length() - 1))
        return vector("i32x4.mul", own, V128.constant(np.full(4, factor, "<i4").tobytes()))


def packed(plan: Plan, outputs: slice, num_vectors: int) -> NDArray[np.uint8]:
    """Return the weights of a range of outputs, `[blocks, runs, words, vectors, lanes, 4]`."""
    weight = plan.weight[outputs]
    missing = outputs.stop - outputs.start - len(weight)
    weight = np.pad(weight, [(0, missing), (0, 0), (0, 0)])
    match plan.form:
        case "bits":
            data = np.packbits(weight.astype(np.uint8), axis=-1, bitorder="little")
        case "bytes":
            data = weight.astype(np.int8).view(np.uint8)
        case "shorts":
            data = np.ascontiguousarray(weight.astype("<i2")).view(np.uint8)
    tail = 4 * plan.run_words - data.shape[-1]
    data = np.pad(data, [(0, 0), (0, 0), (0, tail)])
    lanes = data.reshape(-1, num_vectors, LANES, data.shape[1], plan.run_words, 4)
    return np.ascontiguousarray(lanes.transpose(0, 3, 4, 1, 2, 5))
