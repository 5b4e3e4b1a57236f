"""Requantizations in eight bytes a channel: the codes of the program, for all numbers that come."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.deploy.c.channel import channels_of
from quantlab.deploy.c.coarse import Coarse, coarse
from quantlab.deploy.c.compact import Compact, compact
from quantlab.deploy.c.model import c_model
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Linear, Requantize
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


@settings(max_examples=150, deadline=None)
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


@needs_compiler
@pytest.mark.parametrize("kind", [U8, S8])
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
