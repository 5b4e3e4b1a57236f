"""Requantizations in eight bytes a channel: the codes of the program, for all numbers that come."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.deploy.c.channel import Channel, channels_of
from quantlab.deploy.c.coarse import Coarse, choices_of, coarse
from quantlab.deploy.c.coarse_sum import coarse_sum
from quantlab.deploy.c.compact import Compact, compact
from quantlab.deploy.c.model import c_model
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Add, Linear, Requantize
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, IntegerType, TensorType
from tests.quantlab.deploy.test_c import check, needs_compiler, of_type


def bound_of(reach: int) -> Bound:
    return Bound(low=np.array([-reach], object), high=np.array([reach], object))


def code_of(form: Compact | Coarse, operation: Requantize, channel: int, x: int) -> int:
    """Return what the runtime makes of a number, in Python's integers."""
    if isinstance(form, Coarse):
        offset = int(form.offsets[channel]) * form.unit
        sums = int(form.multipliers[channel]) * x + offset
        return min(max(sums >> form.shift, operation.low), operation.high)
    word = int(form.words[channel])
    high_word = (word * (x << form.doublings)) >> 32
    code = (high_word + int(form.offsets[channel])) >> (word & 31)
    return operation.low + min(max(code, 0), operation.high - operation.low)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([compact, coarse]),
    st.lists(st.integers(2**30, 2**31 - 1), min_size=1, max_size=3),
    st.sampled_from([-1, 1]),
    st.integers(10, 28),
    st.integers(-1, 2),
    st.floats(-4, 4),
    st.floats(-300, 300),
    st.data(),
)
def test_the_codes_of_the_program_or_none(
    form_of: Callable[..., Compact | Coarse | None],
    multiplier: list[int],
    sign: int,
    num_bits: int,
    longer: int,
    bias_by_reach: float,
    offset_in_codes: float,
    data: st.DataObject,
) -> None:
    """Of numbers of so many bits, over some 64 to 512 codes."""
    reach, shift = 2**num_bits, num_bits + 24 + longer
    bias = int(bias_by_reach * reach)
    operation = Requantize(
        inputs=("sums",), output="y", multiplier=sign * np.array(multiplier),
        offset=np.array(int(offset_in_codes * 2**shift)), low=-100, high=127, kind=S8,
        shift=shift + np.arange(len(multiplier)),
    )  # fmt: skip
    biases = np.full(len(multiplier), bias, np.int32)
    form = form_of(operation, biases, bound_of(reach))
    if form is None:
        return
    for number, channel in enumerate(channels_of(operation, biases, bound_of(reach))):
        edges = {x for _, *both in channel.ends() for x in both}
        more = data.draw(st.lists(st.integers(channel.lowest, channel.highest), max_size=20))
        for x in {*edges, *more, channel.lowest, channel.highest}:
            expected = (channel.multiplier * x + channel.offset) >> channel.shift
            expected = min(max(expected, operation.low), operation.high)
            assert code_of(form, operation, number, x) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(-(2**31), 2**31), st.integers(-(2**40), 2**40), st.integers(-2, 2))
def test_offsets_are_the_least_and_the_most_that_give_the_codes(
    multiplier: int, offset: int, longer: int
) -> None:
    channel = Channel(
        multiplier=multiplier, offset=offset, shift=33, lowest=-40, highest=50, low=-9, high=9
    )
    shift = channel.shift + longer

    def is_same(multiplier: int, offset: int) -> bool:
        sums = {x: (multiplier * x + offset) >> shift for x in range(-40, 51)}
        return all(min(max(code, -9), 9) == channel.code(x) for x, code in sums.items())

    for choice in choices_of(channel, shift):
        assert is_same(choice.multiplier, choice.least)
        assert is_same(choice.multiplier, choice.most)
        if len({channel.code(x) for x in (-40, 50)} - {-9, 9}) == 2:
            assert not is_same(choice.multiplier, choice.least - 1)
            assert not is_same(choice.multiplier, choice.most + 1)


@needs_compiler
@pytest.mark.parametrize("kind", [S8, pytest.param(U8, marks=pytest.mark.long)])
def test_sums_of_many_bits_take_sums_of_64(kind: IntegerType, tmp_path: Path) -> None:
    """Codes of 256 levels over sums of 24 bits: high words alone do not part them."""
    random = np.random.default_rng(0)
    weight = random.integers(-128, 128, (40, 600), np.int8)
    layer = Linear(
        inputs=("x",), output="sums", weight=weight, weight_bits=8,
        bias=random.integers(-(2**20), 2**20, 40, np.int32),
    )  # fmt: skip
    codes = Requantize(
        inputs=("sums",), output="y", multiplier=random.integers(2**30, 2**31, 40, np.int32),
        offset=np.array(2**46 + 2**45), shift=46 + random.integers(0, 2, 40),
        low=kind.minimum, high=kind.maximum, kind=kind,
    )  # fmt: skip
    program = Program(
        inputs={"x": TensorType((600,), U8)}, operations=(layer, codes), outputs=("y",)
    )
    assert "runtime/coarse_bytes.c" in c_model(program).files
    batch = {"x": np.concatenate([of_type(program, seed)["x"] for seed in range(4)])}
    batch["x"][0], batch["x"][1] = (weight[0] > 0) * 255, (weight[1] < 0) * 255
    check(program, batch, tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.integers(-2, 2)), min_size=1, max_size=3),
    st.integers(8, 14),
    st.integers(0, 1),
    st.integers(-99, 99),
    st.floats(-20, 20),
    st.floats(-3, 3),
)
def test_sums_have_the_codes_of_the_program_or_there_is_none(
    factors: list[tuple[float, int]],
    num_bits: int,
    side: int,
    bias: int,
    offset_in_codes: float,
    factor: float,
) -> None:
    """Of all numbers, with constants of so few bits that it hardly goes."""
    shifts = 20 + np.array([longer for _, longer in factors])
    multipliers = [
        np.rint(np.array(one) * 2.0**shifts).astype(np.int32)
        for one in ([one for one, _ in factors], factor)
    ]
    left, right = multipliers[::-1] if side else multipliers
    offset = int(offset_in_codes * 2**20)
    operation = Add(
        inputs=("a", "b"), output="y", left_multiplier=left, right_multiplier=right,
        offset=np.array(offset), shift=shifts, low=-10, high=12, kind=S8,
    )  # fmt: skip
    biases = np.full(len(factors), bias, np.int32)
    codes = Bound(low=np.array([-3], object), high=np.array([4], object))
    form = coarse_sum(operation, side, biases, (bound_of(9), codes), num_bits=num_bits)
    if form is None:
        return
    x, other = np.arange(-9, 10)[:, None], np.arange(-3, 5)
    for number, shift in enumerate(shifts):
        expected = (multipliers[0][number] * x + multipliers[1][number] * other + offset) >> shift
        sums = form.multipliers[number] * ((x - bias) << form.doublings)
        sums = sums + form.other_multiplier * (other << form.doublings)
        found = (sums + form.offsets[number] * np.int64(form.unit)) >> form.shift
        assert found.clip(-10, 12).tolist() == expected.clip(-10, 12).tolist()


@needs_compiler
def test_channels_of_one_value_are_added_like_all_others(tmp_path: Path) -> None:
    """Constants that are one for all channels stay so: a walk takes several channels as a row."""
    codes = Requantize(
        inputs=("x",), output="a", multiplier=np.array([0, 9, 0]).reshape(3, 1, 1),
        offset=np.array([5, 3, -9]).reshape(3, 1, 1), shift=np.array(4), low=-128, high=127,
        kind=S8,
    )  # fmt: skip
    total = Add(
        inputs=("a", "a"), output="y", left_multiplier=np.array(-1757532897),
        right_multiplier=np.array(-240529449), offset=np.array(2**30), shift=np.array(31), low=-128,
        high=127, kind=S8,
    )  # fmt: skip
    program = Program(
        inputs={"x": TensorType((3, 2, 4), U8)}, operations=(codes, total), outputs=("a", "y")
    )
    raw = np.random.default_rng(0).integers(0, 256, (4, 3, 2, 4), np.uint8)
    check(program, {"x": raw}, tmp_path)


@needs_compiler
@pytest.mark.parametrize(
    "num_bits",
    [28, pytest.param(14, marks=pytest.mark.long), pytest.param(34, marks=pytest.mark.long)],
)
def test_residual_sums_take_eight_bytes_a_channel(num_bits: int, tmp_path: Path) -> None:
    """By shifts below and above 32."""
    random = np.random.default_rng(num_bits)
    layer = Linear(
        inputs=("x",), output="sums", weight=random.integers(-8, 8, (40, 9), np.int8),
        weight_bits=8, bias=random.integers(-(2**10), 2**10, 40, np.int32),
    )  # fmt: skip
    one = 2**num_bits
    both = Add(
        inputs=("added", "sums"), output="y", left_multiplier=np.array(one // 9),
        right_multiplier=random.integers(-one // 100, one // 100, 40, np.int32),
        offset=random.integers(-9 * one, 9 * one, 40), shift=np.array(num_bits), low=-128,
        high=127, kind=S8,
    )  # fmt: skip
    types = {"x": TensorType((9,), U8), "added": TensorType((40,), U8)}
    program = Program(inputs=types, operations=(layer, both), outputs=("y",))
    assert (program.bounds["y"].num_bits <= 32) == (num_bits == 14)
    files = c_model(program).files
    kernel = "narrow_sum_row" if num_bits == 14 else "coarse_sum_row"
    assert f"runtime/{kernel}.c" in files
    batch = {
        name: random.integers(0, 256, (16, *kind.shape), np.uint8) for name, kind in types.items()
    }
    check(program, batch, tmp_path)
