"""Sums of products, four or eight outputs in the lanes of a vector.

A block is a few positions and a few vectors of outputs, whose sums are local variables. For each
word of a window the weights of these outputs are one vector, and the inputs of a position are that
word in all lanes. The bounds of memory are checked by a comparison at each load, so
that inputs are loaded 128 bits at a time, and each word is taken from there.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.codes import Codes, CodeWriter
from quantlab.deploy.clickhouse.wasm.expressions import I32, V128, lane, load, shuffled, vector
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.writer import Writer

_MOST_STEPS = 480  # products written one after the other; more are a loop
_MOST_BYTES = 112  # of a part of a run, whose bits are counted in bytes
_MOST_COUNTED = 31  # words of bits, 8 in a byte, that a byte can count
_MOST_SIGNED = 15  # and those of signs
_MOST_SUMS = 8  # vectors of a block
_MOST_POSITIONS = 4
_MOST_CONSTANT = 16 * _MOST_STEPS // _MOST_POSITIONS  # bytes of weights that are part of the code
_ZERO = V128.constant(bytes(16))


@dataclass(frozen=True, kw_only=True)
class Operand:
    """x: the address of the inputs as they are multiplied. y: of the sums. shared: of the second
    sum of each position; None: there is none. codes: what is made of the sums, if anything.
    is_asked: whether sums are stored beside codes; None: they are."""

    x: int
    y: int
    shared: int | None
    codes: Codes | None = None
    is_asked: I32 | None = None


def write_sums(writer: Writer, plan: Plan, operand: Operand) -> None:
    """Write the sums of all positions and outputs, int32, channels last."""
    whole, rest = divmod(plan.num_outputs, plan.lanes)
    num_positions = _positions_at_once(plan)
    at_once = max(1, min(whole, 4, _MOST_SUMS // num_positions))
    first = 0
    for count, num_vectors, num_lanes in (
        (whole // at_once, at_once, plan.lanes),
        (1, whole % at_once, plan.lanes),
        (1, 1 if rest else 0, rest),
    ):
        if count and num_vectors:
            outputs = slice(first, first + count * num_vectors * plan.lanes)
            blocks = _Blocks(writer, plan, operand, outputs, num_vectors, num_lanes)
            blocks.write(num_positions)
            first = outputs.stop


def _positions_at_once(plan: Plan) -> int:
    columns = plan.geometry.columns
    return next(
        (count for count in (4, 3, 2) if columns % count == 0), min(columns, _MOST_POSITIONS)
    )


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
        self._bias = self._constants.address(bias.astype(np.int16) if plan.is_narrow else bias)
        self._num_blocks = len(words)
        self._codes = None
        if operand.codes is not None:
            self._codes = CodeWriter(writer.constants, plan, operand.codes, outputs.start)
        self._inline = words.tobytes() if words.nbytes <= _MOST_CONSTANT else b""

    def write(self, at_once: int) -> None:
        """at_once: positions of a block."""
        body, plan, geometry = self._body, self._plan, self._plan.geometry
        across = geometry.stride[1] * plan.pixel_bytes
        with body.repeated(self._num_blocks) as block:
            weights = body.new(block * self._block_bytes + self._weights)
            offset = body.new(block * (plan.lanes * self._num_vectors * 4))
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
        """offset: of the first output's sum, in bytes. place: the number of the first position."""
        body, plan = self._body, self._plan
        sums = _Sums(body, plan, num_positions, self._num_vectors)
        self._write_products(sums, x, body.new(weights))
        outputs = self._outputs.start
        y = body.new(place * (4 * plan.num_outputs) + offset + (self._operand.y + 4 * outputs))
        shared = body.new(place * 4)
        name, splat_name, of_bias = "i32x4.add", "v128.load32_splat", offset
        if plan.is_narrow:
            name, splat_name, of_bias = "i16x8.add", "v128.load16_splat", offset.shifted_right(1)
        bias_at = body.new(of_bias)
        biases = [
            body.new(load(V128, "v128.load", bias_at, self._bias + 16 * number))
            for number in range(self._num_vectors)
        ]
        ends = [
            body.new(self._codes.end(bias_at, number))
            for number in range(self._num_vectors)
            if self._codes is not None
        ]
        for position in range(num_positions):
            totals = [
                vector(name, sums.total(position, number), bias)
                for number, bias in enumerate(biases)
            ]
            if self._operand.shared is not None:
                at = self._operand.shared + 4 * position
                second = body.new(load(V128, splat_name, shared, at))
                totals = [vector(name, total, second) for total in totals]
            totals = [body.new(total) for total in totals]
            if self._codes is not None:
                masks = [self._codes.reached(*pair) for pair in zip(totals, ends, strict=True)]
                self._codes.store(body, masks, offset.shifted_right(2), place, position)
            with self._where_asked():
                for number, total in enumerate(totals):
                    at = 4 * (position * plan.num_outputs + plan.lanes * number)
                    self._store(y, total, at)

    def _where_asked(self) -> AbstractContextManager[None]:
        if self._codes is None or self._operand.is_asked is None:
            return nullcontext()
        return self._body.when(self._operand.is_asked)

    def _store(self, y: I32, total: V128, at: int) -> None:
        """Store the sums of a vector as 32 bits."""
        value = self._body.new(total)
        parts = [value]
        if self._plan.is_narrow:
            names = [f"i32x4.extend_{half}_i16x8_s" for half in ("low", "high")]
            parts = [self._body.new(vector(name, value)) for name in names]
        for number, part in enumerate(parts):
            here, num_lanes = at + 16 * number, self._num_lanes - 4 * number
            if num_lanes >= 4:
                self._body.store("v128.store", y, part, here)
                continue
            for index in range(num_lanes):
                self._body.store("i32.store", y, lane(part, index), here + 4 * index)

    def _write_products(self, sums: "_Sums", x: I32, weights: I32) -> None:
        """Write all runs of a window, in loops where they are long."""
        body, plan, geometry = self._body, self._plan, self._plan.geometry
        starts = [start * plan.pixel_bytes for start in geometry.run_starts]
        a_word = 16 * self._num_vectors * plan.num_signs
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
                most = _MOST_BYTES // plan.word_bytes
                count, rest = divmod(words, most)
                with body.repeated(count):
                    self._write_run(sums, at, 0, weights, 0, most)
                    sums.end()
                    body.set(at, at + _MOST_BYTES)
                    body.set(weights, weights + most * a_word)
                self._write_run(sums, at, 0, weights, 0, rest)
            sums.end()
            body.set(weights, weights + rest * a_word)

    def _write_run(
        self, sums: "_Sums", x: I32, start: int, weights: I32, first: int, words: int
    ) -> None:
        """Write products one after the other. start: of inputs, first: of weights, in bytes."""
        size = self._plan.word_bytes
        for chunk in range(0, words, self._plan.lanes):
            count = min(self._plan.lanes, words - chunk)
            inputs = self._inputs(sums.num_positions, x, start + size * chunk, size * count)
            at_once = self._plan.words_at_once
            for word in range(0, count, at_once):
                together = range(word, min(word + at_once, count))
                sums.begin()
                splats = [[self._splat(*one, each) for each in together] for one in inputs]
                for number in range(self._num_vectors):
                    vectors = [
                        self._weight(weights, first, (chunk + each, number, sign))
                        for each in together
                        for sign in range(self._plan.num_signs)
                    ]
                    for position, splat in enumerate(splats):
                        sums.add(position, number, vectors, splat)

    def _inputs(
        self, num_positions: int, x: I32, start: int, num_bytes: int
    ) -> list[tuple[V128, int]]:
        """Return a vector for each position, and where in it the position's bytes begin: the same
        one for all where they lie so near."""
        body = self._body
        if (num_positions - 1) * self._across + num_bytes <= 16:
            shared = body.new(load(V128, "v128.load", x, start))
            return [(shared, position * self._across) for position in range(num_positions)]
        return [
            (body.new(load(V128, "v128.load", x, start + position * self._across)), 0)
            for position in range(num_positions)
        ]

    def _splat(self, inputs: V128, first: int, word: int) -> V128:
        """Return a word of 128 bits in all lanes. first: the byte at which words begin."""
        size = self._plan.word_bytes
        places = [first + size * word + byte for byte in range(size)] * self._plan.lanes
        return self._body.new(shuffled(inputs, inputs, places))

    def _weight(self, weights: I32, first: int, which: tuple[int, int, int]) -> V128:
        """Return a vector of weights: a constant if this is the only block and it is small.

        which: the word, the vector of outputs, the sign.
        """
        word, number, sign = which
        place = (word * self._num_vectors + number) * self._plan.num_signs + sign
        at = first + 16 * place
        if self._num_blocks == 1 and self._inline:
            return self._body.new(V128.constant(self._inline[at : at + 16]))
        return self._body.new(load(V128, "v128.load", weights, at))

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
        self._bytes = [body.new(_ZERO) for _ in range(self.count if plan.is_counted else 0)]

    def begin(self) -> None:
        """Make room for a word."""
        if self._counted == (_MOST_SIGNED if self._plan.form == "signs" else _MOST_COUNTED):
            self.end()
        self._counted += 1

    def add(self, position: int, number: int, weights: Sequence[V128], x: Sequence[V128]) -> None:
        """Add the products of a word, or of several. weights: of each word, and of each sign."""
        index = position * self._num_vectors + number
        own = self._totals[index]
        match self._plan.form:
            case "bits" | "signs":
                own = self._bytes[index]
                total: V128 = own
                for weight, name in zip(weights, ("i8x16.add", "i8x16.sub"), strict=False):
                    counts = vector("i8x16.popcnt", vector("v128.and", weight, x[0]))
                    total = vector(name, total, counts)
            case "shorts":
                total = vector("i32x4.add", own, vector("i32x4.dot_i16x8_s", weights[0], x[0]))
            case "bytes" if self._plan.is_narrow:
                total = vector("i16x8.add", own, self._dot(weights[0], x[0]))
            case "bytes" if len(x) == 1:
                name = "i32x4.relaxed_dot_i8x16_i7x16_add_s"
                total = vector(name, *self._factors(weights[0], x[0]), own)
            case "bytes":
                products = self._dot(weights[0], x[0])
                for weight, one in zip(weights[1:], x[1:], strict=True):
                    products = vector("i16x8.add", products, self._dot(weight, one))
                pairs = vector("i32x4.extadd_pairwise_i16x8_s", products)
                total = vector("i32x4.add", own, pairs)
        self._body.set(own, total)

    def _factors(self, weight: V128, x: V128) -> tuple[V128, V128]:
        """Return both as `relaxed_dot` takes them: signed bytes, then those of 7 bits."""
        return (weight, x) if self._plan.are_inputs_small else (x, weight)

    def _dot(self, weight: V128, x: V128) -> V128:
        return vector("i16x8.relaxed_dot_i8x16_i7x16_s", *self._factors(weight, x))

    def end(self) -> None:
        """Add what bytes have counted to the sums."""
        self._counted = 0
        kind = "s" if self._plan.form == "signs" else "u"
        for own, counts in zip(self._totals, self._bytes, strict=False):  # none but of bits
            pairs = vector(f"i16x8.extadd_pairwise_i8x16_{kind}", counts)
            fours = vector(f"i32x4.extadd_pairwise_i16x8_{kind}", pairs)
            self._body.set(own, vector("i32x4.add", own, fours))
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
    """Return the weights of a range of outputs, `[blocks, runs, words, vectors, signs, lanes,
    bytes]`."""
    weight = plan.weight[outputs]
    missing = outputs.stop - outputs.start - len(weight)
    weight = np.pad(weight, [(0, missing), (0, 0), (0, 0)])
    size, words = plan.word_bytes, plan.run_words
    signs = []
    for data in _encoded(plan, weight):
        whole = np.pad(data, [(0, 0), (0, 0), (0, size * words - data.shape[-1])])
        signs.append(whole.reshape(-1, num_vectors, plan.lanes, whole.shape[1], words, size))
    return np.ascontiguousarray(np.stack(signs).transpose(1, 4, 5, 2, 0, 3, 6))


def _encoded(plan: Plan, weight: NDArray[np.int16]) -> list[NDArray[np.uint8]]:
    """Return the weights as bytes, of each sign."""
    match plan.form:
        case "bits":
            return [_packed_bits(weight == 1)]
        case "signs":
            return [_packed_bits(weight == 1), _packed_bits(weight == -1)]
        case "bytes":
            return [weight.astype(np.int8).view(np.uint8)]
        case "shorts":
            return [np.ascontiguousarray(weight.astype("<i2")).view(np.uint8)]


def _packed_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(bits, axis=-1, bitorder="little")
