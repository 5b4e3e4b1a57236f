"""The QDQ dialect in onnxruntime against the interpreter.

Codes may differ where a number lies almost on a tie. Each such code then makes others differ, so
that the shares below are those of networks of a few layers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.onnx_sessions import open_session, run
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.deploy.onnx.qdq.emit import emit
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import (
    OPERATIONS,
    Add,
    Convolution,
    Linear,
    Operation,
    Requantize,
    Threshold,
    Windows,
)
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType
from tests.quantlab.deploy.networks import NETWORKS, network_program, with_codes
from tests.quantlab.integer.networks import pixels
from tests.quantlab.integer.programs import Author, inputs

DISABLED, EXTENDED = LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_EXTENDED")
Arrays = Mapping[str, NDArray[Any]]


def run_all(program: Program, raw: Arrays, level: str = DISABLED) -> Arrays:
    """Return the outputs and, under the program's names and `.codes`, all codes."""
    return run(with_codes(qdq_model(program), program).SerializeToString(), dict(raw), level)


def optimized(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """Return how many nodes of each kind onnxruntime makes of a model."""
    path = folder / "optimized.onnx"
    open_session(model.SerializeToString(), EXTENDED, path)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, level: str) -> None:
    program, raw = network_program(name), {"input": pixels(60, 3).numpy()}
    check_network(program, dict(execute(program, raw)), run_all(program, raw, level))


def check_network(program: Program, wanted: Arrays, found: Arrays) -> None:
    """Check all codes and the output of a network's model.

    About 1 % of the codes of 8 bits and fewer differ at most, by up to 2 steps; those of 16 bits by
    less than 2 steps of the fewest bits; scores by 5 % of their spread, or twice a step of the
    fewest bits.
    """
    codes = {name for name in wanted if program.types[name].kind != S32}
    assert {f"{name}.codes" for name in codes} | set(program.outputs) == set(found)
    num_levels = min(map(_num_levels, program.operations))
    for tensor in codes:
        off = np.abs(found[f"{tensor}.codes"].astype(int) - wanted[tensor])
        if program.types[tensor].kind == S16:
            assert off.max() < 2 * 2**16 / num_levels, tensor
        else:
            assert (off > 0).sum() <= 0.01 * off.size + 8, tensor
            assert off.max() <= 2, tensor
    (output,) = program.outputs
    scores = program.reals[output](wanted[output])
    off = np.abs(found[output] - scores)
    assert off.max() < max(0.05, 2 / num_levels) * scores.std()
    assert (found[output].argmax(1) == scores.argmax(1)).mean() >= 0.98


def _num_levels(operation: Operation) -> int:
    if not isinstance(operation, Rescale | Threshold):
        return 256
    step = operation.step if isinstance(operation, Threshold) else 1
    return (operation.high - operation.low) // step + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_take_what_is_dequantized(name: str) -> None:
    model = qdq_model(network_program(name))
    made_by = {node.output[0]: node.op_type for node in model.graph.node}
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert layers
    for layer in layers:
        assert [made_by[source] for source in layer.input] == 3 * ["DequantizeLinear"]
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            assert (constants[node.input[1]] > 0).all()
    assert [output.name for output in model.graph.output] == list(network_program(name).outputs)


@pytest.mark.parametrize("name", ["plain w8a8", "depthwise", "asymmetric", "signed"])
def test_onnxruntime_recognises_integer_kernels(name: str, tmp_path: Path) -> None:
    model = qdq_model(network_program(name))
    found = optimized(model, tmp_path)
    assert found["QLinearConv"] == kinds(model)["Conv"] == 2
    assert found["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "QuantizeLinear"} & set(found)


def test_every_operation_has_nodes() -> None:
    for cls in OPERATIONS.values():
        assert emit.dispatch(cls) is not emit.dispatch(object)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 8))
def test_random_operations(seed: int, size: int) -> None:
    """Each operation by itself, so that a code that differs cannot make others differ; nothing is
    known of what the codes stand for."""
    program = Author(seed).program(size)
    for _, operation, values, off in by_themselves(program, inputs(program, 2, seed)):
        if isinstance(operation, Rescale):
            slack = 0.05 + (operation.high - operation.low) / 2**13  # as far as a bias is rounded
            assert off.max() <= 1 + slack
            to_tie = _distance_to_tie(operation, [values[name] for name in operation.inputs])
            assert (to_tie[off > 0] <= slack).all()
        else:
            step = operation.step if isinstance(operation, Threshold) else 1
            assert off.max() <= step, type(operation)
            assert (off > 0).sum() <= 0.01 * off.size + 1, type(operation)


def by_themselves(
    program: Program, raw: Arrays
) -> Iterator[tuple[Program, Operation, Arrays, NDArray[np.float64]]]:
    """Yield each operation of codes in a program with those that make its accumulators, all
    tensors, and how far the codes of its model are from the interpreter's."""
    values = {**raw, **dict(execute(program, raw))}
    for operation in program.operations:
        if program.types[operation.output].kind == S32 and operation.output not in program.outputs:
            continue
        part = _by_itself(program, operation)
        found = run_all(part, {name: values[name] for name in part.inputs})
        off = np.abs(found[operation.output].astype(np.float64) - values[operation.output])
        yield part, operation, values, off


def _distance_to_tie(operation: Rescale, values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return how far numbers are from where the next code begins, in steps."""
    total = np.ldexp(operation.offset.astype(float), -operation.shift)
    for value, multiplier in zip(values, operation.multipliers, strict=True):
        total = total + value * np.ldexp(multiplier.astype(float), -operation.shift)
    return np.abs(total - np.rint(total))


def _by_itself(program: Program, operation: Operation) -> Program:
    """Return the operation with those before it that make its accumulators."""
    makers = {maker.output: maker for maker in program.operations}
    needed: list[Operation] = [operation]
    given: dict[str, TensorType] = {}
    for one in needed:
        for name in one.inputs:
            if program.types[name].kind != S32:
                given[name] = program.types[name]
            elif makers[name] not in needed:
                needed.append(makers[name])
    in_order = tuple(one for one in program.operations if one in needed)
    return Program(inputs=given, operations=in_order, outputs=(operation.output,))


def reading(scale: float, zero: int = 0) -> Reading:
    return Reading(scale=np.array(scale), offset=np.array(-zero * scale))


def requantize(source: str, output: str, factor: Any, kind: IntegerType = U8) -> Requantize:
    factor = np.asarray(factor, np.float64)
    return Requantize(
        inputs=(source,), output=output,
        multiplier=np.asarray(np.rint(np.ldexp(factor, 30)), np.int32),
        offset=np.full(factor.shape, 2**29 + 2**35), shift=np.full(factor.shape, 30),
        low=kind.minimum, high=kind.maximum, kind=kind,
    )  # fmt: skip


def convolution(source: str, output: str, weight: NDArray[Any], **settings: Any) -> Convolution:
    channels = settings.pop("padding_codes")
    return Convolution(
        inputs=(source,), output=output, weight=weight.astype(np.int8), weight_bits=8,
        bias=np.arange(len(weight), dtype=np.int32) * 100 - 150,
        padding_codes=np.array(channels, np.int32), **settings,
    )  # fmt: skip


def check(program: Program, seed: int = 0) -> onnx.ModelProto:
    """Compare the codes, and return the model."""
    random = np.random.default_rng(seed)
    raw = {
        name: random.integers(
            given.kind.minimum, given.kind.maximum + 1, (8, *given.shape), given.kind.dtype
        )
        for name, given in program.inputs.items()
    }
    wanted = dict(execute(program, raw))
    for level in LEVELS:
        found = run_all(program, raw, level)
        for name, value in wanted.items():
            if program.types[name].kind != S32:
                off = np.abs(found[f"{name}.codes"].astype(int) - value)
                assert off.max() <= 1
                assert (off > 0).sum() <= 0.002 * off.size
    return qdq_model(program)


@pytest.mark.parametrize("lowest", [-127, -128])
def test_a_weight_of_128_cannot_be_negated(lowest: int) -> None:
    """The sums have a positive scale then, and another node the sign."""
    weight = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3))
    weight[1, 0, 0, 0] = lowest
    factor = np.array([0.004, -0.004, 0.003, -0.002]).reshape(4, 1, 1)
    program = Program(
        inputs={"x": TensorType((3, 8, 8), U8)},
        operations=(
            convolution("x", "sums", weight, padding_codes=[0] * 3, windows=Windows(kernel=(3, 3))),
            requantize("sums", "y", factor),
        ),
        outputs=("y",),
        reals={"x": reading(0.02, 3), "y": reading(0.1, 7)},
    )
    assert (kinds(check(program))["Mul"] > 0) == (lowest == -128)


def test_a_border_that_is_not_zero_is_written_around() -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3))
    windows = Windows(kernel=(3, 3), padding=(1, 2, 0, 1), stride=(2, 1))
    for codes, num_pads in (([5, 5, 5], 0), ([9, 9, 9], 1), ([5, 9, 200], 1)):
        program = Program(
            inputs={"x": TensorType((3, 8, 8), U8)},
            operations=(
                convolution("x", "sums", weight, padding_codes=codes, windows=windows),
                requantize("sums", "y", 0.003),
            ),
            outputs=("y",),
            reals={"x": reading(0.02, 5), "y": reading(0.1, 7)},
        )
        assert kinds(check(program))["Pad"] == num_pads


def test_readers_of_one_sum_with_factors_of_their_own() -> None:
    """The first one's is in the weights; a factor of 0 there is not all that another reads."""
    weight = np.random.default_rng(0).integers(-127, 128, (3, 3, 1, 1))
    factors = (np.array([0.01, 0.0, -0.003]), np.array([-0.002, 0.005, 0.004]))
    program = Program(
        inputs={"x": TensorType((3, 8, 8), U8)},
        operations=(
            convolution("x", "sums", weight, padding_codes=[0] * 3, windows=Windows(kernel=(1, 1))),
            requantize("sums", "one", factors[0].reshape(3, 1, 1)),
            requantize("sums", "two", factors[1].reshape(3, 1, 1), S16),
        ),
        outputs=("one", "two", "sums"),
        reals={"one": reading(0.3, 2), "two": reading(0.01)},
    )
    check(program)


def test_additions_of_codes_are_fused(tmp_path: Path) -> None:
    """One of accumulators is not, since neither side of it is rounded to codes."""
    left, right = 310_000_003, 510_000_011
    add = Add(
        inputs=("a", "b"), output="y", left_multiplier=np.array(left, np.int32),
        right_multiplier=np.array(right, np.int32), offset=np.array(2**29 - 2 * (left + right)),
        shift=np.array(30), low=0, high=255, kind=U8,
    )  # fmt: skip
    sides = {name: TensorType((3, 8, 8), U8) for name in "ab"}
    program = Program(
        inputs=sides, operations=(add,), outputs=("y",),
        reals={"a": reading(left / 2**30, 2), "b": reading(right / 2**30, 2), "y": reading(1.0)},
    )  # fmt: skip
    check(program)
    model = qdq_model(program)
    assert optimized(model, tmp_path)["QLinearAdd"] == 1


def test_rows_through_a_linear_layer() -> None:
    random = np.random.default_rng(0)
    program = Program(
        inputs={"x": TensorType((7, 6), S8)},
        operations=(
            Linear(
                inputs=("x",), output="sums", weight=random.integers(-127, 128, (5, 6), np.int8),
                weight_bits=8, bias=random.integers(-99, 99, 5, np.int32),
            ),
            requantize("sums", "y", random.normal(0, 0.003, 5)),
        ),
        outputs=("y",),
        reals={"x": reading(0.02, 3), "y": reading(0.1, 7)},
    )  # fmt: skip
    check(program)


@pytest.mark.parametrize("name", ["ternary", "thresholds", "batch norms of sums w2a2"])
def test_thresholds_in_the_middle_are_rounding(name: str) -> None:
    program = network_program(name)
    assert any(isinstance(operation, Threshold) for operation in program.operations)
    assert "GreaterOrEqual" not in kinds(qdq_model(program))


def test_thresholds_of_levels_two_apart_are_compared() -> None:
    assert kinds(qdq_model(network_program("binary")))["GreaterOrEqual"] == 2


@pytest.mark.parametrize(("are_told", "num_compared"), [(True, 0), (False, 6)])
def test_two_that_round_one_sum_as_numbers_of_their_own(are_told: bool, num_compared: int) -> None:
    """One channel falls for one of them, and one has a single code, 2."""
    weight = np.random.default_rng(0).integers(-50, 50, (3, 3, 1, 1))
    scale = {"one": [0.013, -0.021, 0.0], "two": [0.0047, 0.031, 0.0113]}
    offset = {"one": [0.3, 0.12, 2.2], "two": [-1.37, 0.7, 0.21]}
    rounded = {
        name: Reading(
            scale=np.reshape(scale[name], (3, 1, 1)), offset=np.reshape(offset[name], (3, 1, 1))
        )
        for name in scale
    }
    program = Program(
        inputs={"x": TensorType((3, 8, 8), U8)},
        operations=(
            convolution("x", "sums", weight, padding_codes=[0] * 3, windows=Windows(kernel=(1, 1))),
            *(rounding("sums", name, reading, -1, 2) for name, reading in rounded.items()),
        ),
        outputs=("one", "two"),
        reals={"one": reading(1.0), "two": reading(1.0)},
        rounded=rounded if are_told else {},
    )
    assert kinds(check(program))["GreaterOrEqual"] == num_compared


def rounding(source: str, output: str, rounded: Reading, low: int, high: int) -> Threshold:
    """Return what rounds the numbers of a reading to the nearest, by comparing."""
    codes_L = np.arange(low, high) + 0.5
    scale_C1, offset_C1 = rounded.scale.reshape(-1, 1), rounded.offset.reshape(-1, 1)
    with np.errstate(divide="ignore"):
        middles_CL = (codes_L - offset_C1) / np.abs(scale_C1)
    return Threshold(
        inputs=(source,), output=output, signs=np.where(scale_C1[:, 0] < 0, -1, 1).astype(np.int8),
        thresholds=np.ceil(middles_CL.clip(-(2**31), 2**31)).astype(np.int64),
        low=low, step=1, kind=S8,
    )  # fmt: skip


def test_an_output_that_is_an_input_has_its_real_numbers() -> None:
    program = Program(
        inputs={"x": TensorType((3,), U8), "wide": TensorType((2,), S32)},
        operations=(),
        outputs=("x", "wide"),
        reals={"x": reading(0.5, 2), "wide": reading(0.25)},
    )
    raw = {"x": np.array([[0, 2, 255]], np.uint8), "wide": np.array([[-4, 6]], np.int32)}
    found = run_all(program, raw)
    assert found["x.reals"].tolist() == [[-1.0, 0.0, 126.5]]
    assert found["wide.reals"].tolist() == [[-1.0, 1.5]]
