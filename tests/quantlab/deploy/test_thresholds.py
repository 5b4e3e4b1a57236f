"""Thresholds that round to the nearest, against all integers that can come."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.deploy.onnx.qdq.thresholds import rounded_range
from quantlab.integer.bounds import Bound
from quantlab.integer.interpreter import compute
from quantlab.integer.lower.grid import Grid
from quantlab.integer.lower.thresholds import thresholds_for
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import Threshold
from quantlab.integer.program import Reading
from quantlab.integer.tensor_type import S8

REACH = 3000
ALL = np.arange(-REACH, REACH + 1, dtype=np.int32)


def nearest(scale: float, zero: int, low: int, high: int) -> Grid:
    def encode(reals: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.clip(np.floor(reals / scale + 0.5) + zero, low, high).astype(np.int64)

    return Grid(
        scale=np.array(scale), zero_point=np.array(zero), low=low, high=high, kind=S8,
        encode=encode,
    )  # fmt: skip


def reading_of(grid: Grid) -> Reading:
    return Reading(scale=grid.scale, offset=-grid.zero_point * grid.scale)


def lowered(value: Value, grid: Grid) -> Threshold:
    bound = Bound(low=np.array([-REACH], object), high=np.array([REACH], object))
    return thresholds_for(value, grid, {"x": bound}, "y")


def value_of(scale_C: NDArray[np.float64], offset_C: NDArray[np.float64], low: float) -> Value:
    return Value(
        terms=(Term(tensor="x", scale=scale_C.reshape(-1, 1, 1)),),
        offset=offset_C.reshape(-1, 1, 1),
        shape=(len(scale_C), 1, 1),
        node="n",
        low=low,
    )


def quantize_linear(
    reading: Reading, grid: Grid, ends: tuple[int, int], channels: int
) -> NDArray[np.int64]:
    """What ONNX makes of all integers, `[N, C, 1, 1]`: clamped, then rounded with ties to even."""
    x = ALL[:, None, None, None] * np.ones((channels, 1, 1))
    low, high = reading_of(grid)(np.array(ends))
    steps = np.rint(reading(x).clip(low, high) / grid.scale)
    return steps.astype(np.int64) + grid.zero_point


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    ends=st.sampled_from([(0, 3), (-2, 1), (-1, 1), (0, 1), (1, 1)]),
    zero=st.integers(-1, 2),
    is_relu=st.booleans(),
)
def test_what_is_lowered_from_rounding_is_rounded(
    seed: int, ends: tuple[int, int], zero: int, is_relu: bool
) -> None:
    """Scales of both signs, and of 0, whose channel has one code; without ties."""
    random = np.random.default_rng(seed)
    grid = nearest(0.37, zero, *ends)
    scale, offset = random.normal(0, 0.01, 4), random.normal(0, 0.5, 4)
    distance = (np.arange(*ends) + 0.5 - zero)[:, None] * 0.37 - offset
    assume((np.abs(distance / scale - np.rint(distance / scale)) > 1e-5).all())
    assume((np.abs(distance) > 1e-5).all())
    scale[random.integers(4)] = 0.0
    value = value_of(scale, offset, 0.0 if is_relu else -np.inf)
    operation = lowered(value, grid)
    rounded = Reading(scale=value.terms[0].scale, offset=value.offset)
    found = rounded_range(operation, rounded, reading_of(grid), num_axes=3, reach=REACH)
    assert found is not None
    x = ALL[:, None, None, None] * np.ones((4, 1, 1), np.int32)
    wanted = compute(operation, [x])
    np.testing.assert_array_equal(quantize_linear(rounded, grid, found, 4), wanted)
    assert found[0] >= max(ends[0], min(zero, ends[1]) if is_relu else ends[0])


@settings(deadline=None)
@example(seed=0, firsts=[29], scale=0.01)  # 28 is a tie, but for what floats lose
@given(
    seed=st.integers(0, 2**32 - 1),
    firsts=st.lists(st.integers(-REACH - 1, REACH + 1), min_size=1, max_size=3),
    scale=st.sampled_from([0.0, 0.25, 0.01, 1e-4, -0.01]),
)
def test_of_any_thresholds_and_readings_it_says_so_only_where_the_codes_are_the_same(
    seed: int, firsts: list[int], scale: float
) -> None:
    random = np.random.default_rng(seed)
    sign = -1 if scale < 0 else 1
    operation = Threshold(
        inputs=("x",), output="y", thresholds=np.array([sorted(firsts)]),
        signs=np.array([sign], np.int8), low=-1, step=1, kind=S8,
    )  # fmt: skip
    grid = nearest(1.0, 0, -1, operation.high)
    offset = float(random.choice([0.5, -0.5, 0.0, -scale * sign * firsts[0] - 0.49]))
    rounded = Reading(scale=np.array(scale), offset=np.array(offset))
    found = rounded_range(operation, rounded, reading_of(grid), num_axes=3, reach=REACH)
    codes = quantize_linear(rounded, grid, found or (-1, operation.high), 1)
    is_same = np.array_equal(codes, compute(operation, [ALL[:, None, None, None]]))
    assert is_same or found is None


@pytest.mark.parametrize(("first", "is_rounded"), [(49, False), (50, False), (51, True)])
def test_a_tie_is_not_rounded_to_even(first: int, is_rounded: bool) -> None:
    """The codes 0 and 1 part at 50.5; as `tied` reads the input, at the very first of 1."""
    operation = Threshold(
        inputs=("x",), output="y", thresholds=np.array([[first]]), signs=np.ones(1, np.int8),
        low=0, step=1, kind=S8,
    )  # fmt: skip
    grid = Reading(scale=np.array(1.0), offset=np.array(0.0))
    rounded = Reading(scale=np.array(0.01), offset=np.array(-0.005))
    found = rounded_range(operation, rounded, grid, num_axes=1, reach=REACH)
    assert found == ((0, 1) if is_rounded else None)
    tied = Reading(scale=np.array(0.5 / first), offset=np.array(0.0))
    assert rounded_range(operation, tied, grid, num_axes=1, reach=REACH) is None


@pytest.mark.parametrize(
    ("first", "ends"),
    [
        (-REACH - 1, (1, 1)), (-REACH, (1, 1)), (1 - REACH, (0, 1)),
        (REACH, (0, 1)), (REACH + 1, (0, 0)),
    ],
)  # fmt: skip
def test_a_level_is_left_to_the_clamp_if_all_integers_reach_it_or_none(
    first: int, ends: tuple[int, int]
) -> None:
    """Whatever it is read as."""
    operation = Threshold(
        inputs=("x",), output="y", thresholds=np.array([[first]]), signs=np.ones(1, np.int8),
        low=0, step=1, kind=S8,
    )  # fmt: skip
    one = Reading(scale=np.array(1.0), offset=np.array(0.0))
    close = Reading(scale=np.array(0.01), offset=np.array(0.505 - 0.01 * first))
    far = Reading(scale=np.array(0.01), offset=np.array(0.2))
    assert rounded_range(operation, close, one, num_axes=1, reach=REACH) == ends
    found = rounded_range(operation, far, one, num_axes=1, reach=REACH)
    assert found == (ends if ends[0] == ends[1] else None)


def test_levels_that_are_two_apart_are_not_rounded() -> None:
    operation = Threshold(
        inputs=("x",), output="y", thresholds=np.array([[0]]), signs=np.ones(1, np.int8),
        low=-1, step=2, kind=S8,
    )  # fmt: skip
    one = Reading(scale=np.array(1.0), offset=np.array(-0.5))
    assert rounded_range(operation, one, one, num_axes=1, reach=REACH) is None
