"""What is proven is true, and where it is a sum of products, reached."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.errors import UsageError
from quantlab.integer.bounds import signed_bits
from quantlab.integer.interpreter import run
from quantlab.integer.operations import Convolution, Linear, Multiply, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType
from tests.quantlab.integer.programs import beyond_the_border, inputs


def linear(weight: Any, bias: Any, kind: Any = U8) -> Program:
    weight = np.asarray(weight, np.int8)
    return Program(
        inputs={"x": TensorType((weight.shape[1],), kind)},
        operations=(
            Linear(
                inputs=("x",), output="y", layer="fc", weight=weight, weight_bits=8,
                bias=np.asarray(bias, np.int32),
            ),
        ),
        outputs=("y",),
    )  # fmt: skip


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**70))
def test_bits(low: int, size: int) -> None:
    high = low + size
    bits = signed_bits(low, high)
    assert -(2 ** (bits - 1)) <= low <= high < 2 ** (bits - 1)
    if bits > 1:
        assert not (-(2 ** (bits - 2)) <= low <= high < 2 ** (bits - 2))


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from([U8, S8, S16]))
def test_the_worst_inputs_reach_the_bounds(seed: int, kind: Any) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-128, 128, (3, 9))
    program = linear(weight, random.integers(-99, 99, 3), kind)
    ends = program.bounds["y"]
    for row in range(3):
        most = np.where(weight[row] > 0, kind.maximum, kind.minimum).astype(kind.dtype)
        least = np.where(weight[row] > 0, kind.minimum, kind.maximum).astype(kind.dtype)
        y = run(program, {"x": np.stack([most, least])})["y"]
        assert (y[0, row], y[1, row]) == (ends.high[row], ends.low[row])


def test_the_bits_are_of_the_worst_partial_sum() -> None:
    """1 * 255 - 1 * 255 is never far from zero at its end, but on the way."""
    bound = linear([[100, -100]], [0]).bounds["y"]
    assert (bound.lowest, bound.highest) == (-25500, 25500)
    assert linear([[1]], [-(2**20)]).bounds["y"].num_bits == 21
    assert bound.num_bits == 16
    assert bound.headroom == 16


def test_padding_counts() -> None:
    def bound(padding: tuple[int, int, int, int], **more: Any) -> int:
        program = Program(
            inputs={"x": TensorType((1, 4, 4), U8)},
            operations=(
                Requantize(
                    inputs=("x",), output="r", multiplier=np.array(1, np.int32),
                    offset=np.array(0), shift=np.array(0), low=0, high=9, kind=U8,
                ),
                Convolution(
                    inputs=("r",), output="y", weight=np.ones((1, 1, 3, 3), np.int8), weight_bits=2,
                    bias=np.zeros(1, np.int32), padding_codes=np.array([200], np.int32),
                    windows=Windows(kernel=(3, 3), padding=padding, **more),
                ),
            ),
            outputs=("y",),
        )  # fmt: skip
        return program.bounds["y"].highest

    assert bound((0, 0, 0, 0)) == 81
    assert bound((0, 1, 0, 0)) == 1800
    # What a last window hangs over is padding too.
    assert bound((0, 0, 0, 0), stride=(1, 2), ceil_mode=True) == 1800


@pytest.mark.parametrize("shape", [(), (1, 1, 1), (2, 1, 1), (1, 4, 4), (2, 4, 4)])
def test_a_convolution_takes_bounds_of_any_shape(shape: tuple[int, ...]) -> None:
    """Of one number, of each channel and of each place: what is known of channels counts."""
    multiplier = np.arange(1, np.prod(shape, dtype=int) + 1, dtype=np.int32).reshape(shape)
    program = Program(
        inputs={"x": TensorType((2, 4, 4), U8)},
        operations=(
            Requantize(
                inputs=("x",), output="r", multiplier=multiplier, offset=np.array(0),
                shift=np.array(0), low=0, high=2**15 - 1, kind=S16,
            ),
            Convolution(
                inputs=("r",), output="y", weight=np.ones((2, 2, 1, 1), np.int8), weight_bits=2,
                bias=np.zeros(2, np.int32), padding_codes=np.zeros(2, np.int32),
                windows=Windows(kernel=(1, 1)),
            ),
        ),
        outputs=("y",),
    )  # fmt: skip
    largest = np.broadcast_to(multiplier, (2, 4, 4)).max((1, 2)) * 255
    assert (program.bounds["y"].lowest, program.bounds["y"].highest) == (0, largest.sum())


def test_an_accumulator_that_may_overflow_is_refused() -> None:
    with pytest.raises(
        UsageError, match="layer 'fc': Linear 'y' needs an accumulator of 33 bits, 32"
    ):
        linear(np.full((1, 70000), 127), [0])
    wide = np.array(2**31 - 1, np.int32)
    with pytest.raises(UsageError, match="needs an accumulator of 65 bits, 64 allowed"):
        Program(
            inputs={"x": TensorType((1,), S32)},
            operations=(
                Requantize(
                    inputs=("x",), output="y", multiplier=wide, offset=np.array(2**63 - 1),
                    shift=np.array(62), low=0, high=1, kind=U8,
                ),
            ),
            outputs=("y",),
        )  # fmt: skip


@given(
    zeros=st.tuples(st.integers(-128, 127), st.integers(0, 255)),
    ends=st.tuples(st.sampled_from([-128, 127]), st.sampled_from([0, 255])),
)
def test_products(zeros: tuple[int, int], ends: tuple[int, int]) -> None:
    program = Program(
        inputs={"a": TensorType((1,), S8), "b": TensorType((1,), U8)},
        operations=(
            Multiply(inputs=("a", "b"), output="y", left_zero=zeros[0], right_zero=zeros[1]),
        ),
        outputs=("y",),
    )
    bound = program.bounds["y"]
    inputs = {"a": np.array([[ends[0]]], np.int8), "b": np.array([[ends[1]]], np.uint8)}
    assert bound.lowest <= run(program, inputs)["y"].item() <= bound.highest


def test_a_pooling_window_of_padding_alone_gives_the_least_integer() -> None:
    program = beyond_the_border()
    assert (program.bounds["few"].lowest, program.bounds["pooled"].lowest) == (-1, -128)
    found = run(program, inputs(program, 2, 0))["y"]
    assert program.bounds["y"].lowest == found.min() == -128 * 64


@pytest.mark.parametrize(
    ("windows", "is_seen"),
    [
        (Windows(kernel=(2, 2), padding=(1, 1, 1, 1)), True),
        (Windows(kernel=(1, 2), padding=(0, 0, 0, 2)), False),
        (Windows(kernel=(2, 1), padding=(2, 0, 2, 0), dilation=(4, 1)), False),
        (Windows(kernel=(3, 1), padding=(2, 0, 2, 0), dilation=(2, 1)), True),
    ],
)
def test_which_windows_see_the_input(windows: Windows, is_seen: bool) -> None:
    assert windows.see_all(1, 3) == is_seen
