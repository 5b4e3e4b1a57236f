"""The exact dialect in onnxruntime against the interpreter."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.graph import read_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.errors import VerificationError
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.operations import (
    OPERATIONS,
    MaxPool,
    Operation,
    Requantize,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from quantlab.integer.verify import Interpreter, compare
from tests.quantlab.integer.programs import Author, inputs


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 12))
def test_random_programs(seed: int, size: int) -> None:
    program = Author(seed).program(size)
    data = to_bytes(program)
    again = from_bytes(data, "x")
    assert to_bytes(again) == data
    engines = {
        "onnx": OnnxEngine(exact_model(program), num_threads=1),
        "file": Interpreter(again),
    }
    for one in compare(program, engines, [inputs(program, 3, seed), inputs(program, 1, seed + 1)]):
        one.check()
        assert one.num_values > 0
        assert (one.num_samples, one.num_tensors) == (4, len(program.operations))


def test_what_thresholds_round_is_in_the_file() -> None:
    """And no byte of it can be another."""
    reading = Reading(scale=np.array([[[0.25]], [[-1.5]]]), offset=np.array(3.0))
    program = Program(
        inputs={"x": TensorType((2, 3, 3), S32)},
        operations=(
            Threshold(
                inputs=("x",), output="y", thresholds=np.array([[0, 4], [-3, 9]]),
                signs=np.array([1, -1], np.int8), low=0, step=1, kind=U8,
            ),
        ),
        outputs=("y",),
        rounded={"y": reading},
    )  # fmt: skip
    data = to_bytes(program)
    again = from_bytes(data, "x")
    assert to_bytes(again) == data
    assert list(again.rounded) == ["y"]
    np.testing.assert_array_equal(again.rounded["y"].scale, reading.scale)
    np.testing.assert_array_equal(again.rounded["y"].offset, reading.offset)
    for values in (reading.scale, reading.offset):
        start = data.index(values.tobytes())
        for place in range(start, start + values.nbytes):
            flipped = bytearray(data)
            flipped[place] ^= 1
            with pytest.raises(VerificationError, match=r"tensor 'y\.rounded_.*' is damaged"):
                from_bytes(bytes(flipped), "x")


def test_random_programs_use_every_operation() -> None:
    used = {type(o).__name__ for seed in range(40) for o in Author(seed).program(8).operations}
    assert used == set(OPERATIONS)


@pytest.mark.parametrize("shift", [0, 1, 31, 40, 62])
def test_quotients_beyond_32_bits_are_clamped_not_cut(shift: int) -> None:
    """onnxruntime's Clip on int64 gives 0 for numbers from 2^31 to 2^32."""
    program = Program(
        inputs={"x": TensorType((1,), S32)},
        operations=(
            Requantize(
                inputs=("x",), output="y", multiplier=np.array(2**30 - 1, np.int32),
                offset=np.array(2**60), shift=np.array(shift), low=-(2**15), high=2**15 - 1,
                kind=S32,
            ),
        ),
        outputs=("y",),
    )  # fmt: skip
    ends = np.array([-(2**31), -(2**30), -1, 0, 1, 2, 3, 4, 5, 2**30, 2**31 - 1])
    x = np.concatenate([ends, ends // 3, ends // 5]).astype(np.int32)[:, None]
    (one,) = compare(program, {"onnx": OnnxEngine(exact_model(program))}, [{"x": x}])
    one.check()


@pytest.mark.parametrize("kind", [U8, S8, S16])
def test_sums_over_dilated_windows(kind: IntegerType) -> None:
    windows = Windows(kernel=(2, 3), dilation=(2, 1), padding=(1, 0, 0, 1))
    pool = SumPool(inputs=("x",), output="y", windows=windows, padding_code=3)
    check_pool(pool, kind)


@pytest.mark.parametrize("kind", [U8, S8, S16, S32])
def test_maxima_of_all_integers(kind: IntegerType) -> None:
    """Beyond 2^24 float32 has not all of them."""
    check_pool(MaxPool(inputs=("x",), output="y", windows=Windows(kernel=(2, 2))), kind)


def check_pool(pool: Operation, kind: IntegerType) -> None:
    program = Program(inputs={"x": TensorType((2, 6, 7), kind)}, operations=(pool,), outputs=("y",))
    random = np.random.default_rng(0)
    x = random.integers(kind.minimum, kind.maximum + 1, (4, 2, 6, 7), dtype=kind.dtype)
    x[0], x[1] = kind.maximum, kind.minimum
    x[0, 0, ::2] -= 1
    x[1, :, ::2] += 1
    (one,) = compare(program, {"onnx": OnnxEngine(exact_model(program))}, [{"x": x}])
    one.check()


def test_a_flipped_bit_of_any_tensor_is_named() -> None:
    program = Author(3).program(6)
    expected = exact_model(program)
    data = expected.SerializeToString(deterministic=True)
    assert read_model(data, expected, "x") is not None
    for index, tensor in enumerate(expected.graph.initializer):
        values = numpy_helper.to_array(tensor).copy()
        if not values.size:
            continue
        raw = bytearray(values.tobytes())
        raw[len(raw) // 2] ^= 4
        model = onnx.ModelProto()
        model.ParseFromString(data)
        changed = np.frombuffer(bytes(raw), values.dtype).reshape(values.shape)
        model.graph.initializer[index].CopyFrom(numpy_helper.from_array(changed, tensor.name))
        with pytest.raises(VerificationError, match=f"x: tensor '{tensor.name}' is not"):
            read_model(model.SerializeToString(), expected, "x")


def test_other_damage_is_refused() -> None:
    expected = exact_model(Author(3).program(4))
    data = expected.SerializeToString(deterministic=True)
    with pytest.raises(VerificationError, match="x: "):
        read_model(data[:-9], expected, "x")
    with pytest.raises(VerificationError, match="x: "):
        read_model(b"no model", expected, "x")
    model = onnx.ModelProto()
    model.ParseFromString(data)
    model.graph.node[0].name = "another"
    with pytest.raises(VerificationError, match="not its graph"):
        read_model(model.SerializeToString(), expected, "x")
