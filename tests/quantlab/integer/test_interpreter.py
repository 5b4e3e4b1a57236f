"""Each operation against torch or Python's own integers."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from quantlab.deploy.onnx.exact.emit import emit
from quantlab.errors import UsageError
from quantlab.integer.bounds import bound_of
from quantlab.integer.interpreter import compute, execute, run
from quantlab.integer.operations import (
    OPERATIONS,
    AdaptiveSumPool,
    Add,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Permute,
    Requantize,
    Reshape,
    Slice,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType

Integers = NDArray[Any]
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("function", [compute, bound_of, emit])
def test_every_operation_has_a_meaning_a_bound_and_an_onnx_form(function: Any) -> None:
    none = function.dispatch(object)
    assert not [name for name, cls in OPERATIONS.items() if function.dispatch(cls) is none]


def drawn(
    random: np.random.Generator, kind: IntegerType, *shape: int, low: int | None = None
) -> Integers:
    start = kind.minimum if low is None else low
    return random.integers(start, kind.maximum, shape, dtype=kind.dtype, endpoint=True)


def wide(x: Integers) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.int64)).double()


def exact(x: torch.Tensor) -> Integers:
    return x.round().to(torch.int64).numpy()


@settings(deadline=None)
@given(
    seed=seeds,
    groups=st.sampled_from([1, 2, 6]),
    kind=st.sampled_from([U8, S8, S16]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(*[st.integers(0, 2)] * 4),
)
def test_convolution(
    seed: int, groups: int, kind: IntegerType, kernel: Any, stride: Any, dilation: Any, padding: Any
) -> None:
    random = np.random.default_rng(seed)
    x = drawn(random, kind, 2, 6, 7, 8)
    weight = drawn(random, S8, 12, 6 // groups, *kernel)
    bias = random.integers(-1000, 1000, 12).astype(np.int32)
    codes = random.integers(-3, 4, 6).astype(np.int32)
    if kind == U8:
        codes = np.abs(codes)
    windows = Windows(kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    operation = Convolution(
        inputs=("x",), output="y", weight=weight, weight_bits=8, bias=bias, padding_codes=codes,
        windows=windows, groups=groups,
    )  # fmt: skip
    top, left, bottom, right = padding
    padded = functional.pad(
        wide(x - codes.astype(np.int64)[:, None, None]), (left, right, top, bottom)
    )
    padded = padded + wide(codes)[:, None, None]
    wanted = functional.conv2d(
        padded, wide(weight), wide(bias), stride=stride, dilation=dilation, groups=groups
    )
    found = compute(operation, [x])
    assert np.array_equal(found, exact(wanted))
    assert operation.infer([TensorType(x.shape[1:], kind)]) == TensorType(found.shape[1:], S32)


@given(seed=seeds, kind=st.sampled_from([U8, S8, S16]))
def test_linear(seed: int, kind: IntegerType) -> None:
    random = np.random.default_rng(seed)
    x, weight = drawn(random, kind, 3, 2, 50), drawn(random, S8, 7, 50)
    bias = random.integers(-(2**20), 2**20, 7).astype(np.int32)
    operation = Linear(inputs=("x",), output="y", weight=weight, weight_bits=8, bias=bias)
    wanted = x.astype(object) @ weight.T.astype(object) + bias
    assert np.array_equal(compute(operation, [x]), wanted)


@given(seed=seeds, shift=st.integers(0, 62), num_inputs=st.sampled_from([1, 2]))
def test_rescaling_is_pythons_arithmetic(seed: int, shift: int, num_inputs: int) -> None:
    random = np.random.default_rng(seed)
    xs = [
        random.integers(-(2**30), 2**30, (2, 3, 2, 2)).astype(np.int32) for _ in range(num_inputs)
    ]
    multipliers = [
        random.integers(-(2**30), 2**30, (3, 1, 1)).astype(np.int32) for _ in range(num_inputs)
    ]
    offset = random.integers(-(2**61), 2**61, (3, 1, 1))
    shifts = np.minimum(np.array([shift, shift + 1, 0]).reshape(3, 1, 1), 62)
    common: dict[str, Any] = {
        "inputs": tuple("ab"[:num_inputs]), "output": "y", "offset": offset, "shift": shifts,
        "low": -100, "high": 90, "kind": S8,
    }  # fmt: skip
    if num_inputs == 1:
        operation: Requantize | Add = Requantize(multiplier=multipliers[0], **common)
    else:
        left, right = multipliers
        operation = Add(left_multiplier=left, right_multiplier=right, **common)
    total = offset.astype(object)
    for x, multiplier in zip(xs, multipliers, strict=True):
        total = total + x.astype(object) * multiplier.astype(object)
    wanted = np.clip(total >> shifts.astype(object), -100, 90)
    assert np.array_equal(compute(operation, xs), wanted.astype(np.int64))


@given(
    seed=seeds,
    size=st.tuples(st.integers(4, 11), st.integers(4, 11)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ceil_mode=st.booleans(),
    padded=st.booleans(),
)
def test_pooling(
    seed: int, size: Any, kernel: Any, stride: Any, ceil_mode: bool, padded: bool
) -> None:
    random = np.random.default_rng(seed)
    x = drawn(random, S8, 2, 3, *size)
    rows, columns = (kernel[0] // 2, kernel[1] // 2) if padded else (0, 0)
    windows = Windows(
        kernel=kernel, stride=stride, padding=(rows, columns, rows, columns), ceil_mode=ceil_mode
    )
    pool = MaxPool(inputs=("x",), output="y", windows=windows)
    wanted = functional.max_pool2d(wide(x), kernel, stride, (rows, columns), ceil_mode=ceil_mode)
    assert np.array_equal(compute(pool, [x]), exact(wanted))
    assert pool.infer([TensorType(x.shape[1:], S8)]).shape == wanted.shape[1:]
    code = 5
    sums = SumPool(inputs=("x",), output="y", windows=windows, padding_code=code)
    wanted = functional.avg_pool2d(
        wide(x) - code, kernel, stride, (rows, columns), ceil_mode, divisor_override=1
    )
    count = kernel[0] * kernel[1]
    assert np.array_equal(compute(sums, [x]), exact(wanted) + count * code)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 7), (8, 11)])
def test_adaptive_sums(size: tuple[int, int]) -> None:
    x = drawn(np.random.default_rng(0), U8, 2, 3, 8, 11)
    found = compute(AdaptiveSumPool(inputs=("x",), output="y", size=size), [x])
    ones = np.ones((1, 1, 8, 11), np.uint8)
    counts = compute(AdaptiveSumPool(inputs=("x",), output="y", size=size), [ones])
    wanted = functional.adaptive_avg_pool2d(wide(x), size).numpy()
    np.testing.assert_allclose(found / counts, wanted, rtol=1e-14)


def test_what_moves_integers() -> None:
    x = drawn(np.random.default_rng(0), S16, 2, 4, 3, 5)
    t = torch.from_numpy(x.astype(np.int64))
    cases = [
        (Reshape(inputs=("x",), output="y", shape=(12, 5)), t.reshape(2, 12, 5)),
        (Permute(inputs=("x",), output="y", axes=(2, 0, 1)), t.permute(0, 3, 1, 2)),
        (Slice(inputs=("x",), output="y", axis=0, start=1, stop=4, step=2), t[:, 1:4:2]),
        (Slice(inputs=("x",), output="y", axis=2, start=0, stop=2), t[..., :2]),
        (ArgMax(inputs=("x",), output="y", axis=1), t.argmax(2)),
    ]
    for operation, wanted in cases:
        found = compute(operation, [x])
        assert np.array_equal(found, wanted.numpy())
        assert operation.infer([TensorType(x.shape[1:], S16)]).shape == found.shape[1:]
    joined = compute(Concatenate(inputs=("x", "x"), output="y", axis=1), [x, x])
    assert np.array_equal(joined, torch.cat([t, t], 2).numpy())


def test_tables_products_and_thresholds() -> None:
    random = np.random.default_rng(0)
    x, gate = drawn(random, S8, 2, 3, 4, 4), drawn(random, U8, 2, 3, 1, 1)
    product = Multiply(inputs=("x", "g"), output="y", left_zero=-3, right_zero=7)
    wanted = (x.astype(np.int64) + 3) * (gate.astype(np.int64) - 7)
    assert np.array_equal(compute(product, [x, gate]), wanted)
    table = random.integers(0, 256, 256).astype(np.int16)
    lookup = Lookup(inputs=("x",), output="y", table=table, kind=U8)
    assert np.array_equal(compute(lookup, [x]), table[x.astype(int) + 128])
    threshold = Threshold(
        inputs=("x",), output="y", kind=S8, low=-1, step=2,
        thresholds=np.array([[-5, 4], [0, 9], [1, 127]]), signs=np.array([1, -1, 1], np.int8),
    )  # fmt: skip
    found = compute(threshold, [x])
    signed = x.astype(int) * np.array([1, -1, 1])[:, None, None]
    for channel, row in enumerate(threshold.thresholds):
        levels = -1 + 2 * np.searchsorted(row, signed[:, channel], side="right")
        assert np.array_equal(found[:, channel], levels)


def small() -> Program:
    half = np.array(2**9)
    return Program(
        inputs={"x": TensorType((4,), U8)},
        operations=(
            Linear(
                inputs=("x",), output="a", layer="fc", weight=np.ones((2, 4), np.int8),
                weight_bits=2, bias=np.array([-512, 0], np.int32),
            ),
            Requantize(
                inputs=("a",), output="b", multiplier=np.array(256, np.int32), offset=half,
                shift=np.array(10), low=0, high=255, kind=U8,
            ),
            Add(
                inputs=("b", "a"), output="c", left_multiplier=np.array(1, np.int32),
                right_multiplier=np.array(2, np.int32), offset=np.array(0), shift=np.array(0),
                low=-(2**31), high=2**31 - 1, kind=S32,
            ),
        ),
        outputs=("c",),
    )  # fmt: skip


def test_a_program_runs() -> None:
    program = small()
    x = np.array([[1, 2, 3, 4], [255, 255, 255, 254]], np.uint8)
    a = x.sum(1, dtype=np.int64)[:, None] + [-512, 0]
    b = np.clip((a * 256 + 512) // 1024, 0, 255)
    assert np.array_equal(run(program, {"x": x})["c"], b + 2 * a)
    tensors = dict(execute(program, {"x": x}))
    assert list(tensors) == ["a", "b", "c"]
    assert [tensors[name].dtype for name in "abc"] == [np.int32, np.uint8, np.int32]


@pytest.mark.parametrize("shapes", [((3, 4, 4), (4, 4)), ((4, 4), (3, 4, 4)), ((3, 4), (2, 4))])
def test_sides_with_other_axes_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    """They would be lined up with the batch of the other."""
    sides = [TensorType(shape, U8) for shape in shapes]
    one = np.array(1, np.int32)
    add = Add(
        inputs=("a", "b"), output="y", left_multiplier=one, right_multiplier=one,
        offset=np.array(0), shift=np.array(0), low=0, high=255, kind=U8,
    )  # fmt: skip
    for operation in (add, Multiply(inputs=("a", "b"), output="y")):
        with pytest.raises(UsageError, match=r"u8\[.*\] given, as many axes of the same sizes"):
            operation.infer(sides)
        assert operation.infer([sides[0], sides[0]]).shape == shapes[0]


def test_what_is_rounded_is_what_a_threshold_makes() -> None:
    """Of other tensors nobody would read it."""
    reading = Reading(scale=np.array(1.0), offset=np.array(0.0))
    operation = Threshold(
        inputs=("x",), output="codes", thresholds=np.array([[3]]), signs=np.ones(1, np.int8),
        low=0, step=1, kind=U8,
    )  # fmt: skip
    x = {"x": TensorType((1,), S32)}
    common: Any = {"inputs": x, "operations": (operation,), "outputs": ("codes",)}
    assert Program(**common, rounded={"codes": reading}).rounded == {"codes": reading}
    for name, hint in (("x", ""), ("code", "; did you mean 'codes'?")):
        message = re.escape(f"program: no Threshold makes '{name}', which is rounded{hint}")
        with pytest.raises(UsageError, match=f"^{message}"):
            Program(**common, rounded={name: reading})


def test_inputs_of_another_type_or_shape_are_refused() -> None:
    program = small()
    with pytest.raises(
        UsageError, match=r"input 'x': float32\[2, 4\] given, u8 of \[N, 4\] allowed"
    ):
        run(program, {"x": np.zeros((2, 4), np.float32)})
    with pytest.raises(UsageError, match=r"uint8\[2, 5\] given"):
        run(program, {"x": np.zeros((2, 5), np.uint8)})
    with pytest.raises(UsageError, match=r"inputs: \['y'\] given, \['x'\] allowed"):
        run(program, {"y": np.zeros((2, 4), np.uint8)})
