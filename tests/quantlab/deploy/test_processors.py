"""ONNX on a processor with AVX2 and without VNNI.

There onnxruntime saturates products of an unsigned and a signed byte: no such product is in a
model, and models on an emulated processor give the right integers.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from benchmarks import onnx_sessions
from benchmarks.emulation import run_emulated
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import Convolution, Linear, SumPool, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
from tests.emulation import needs_emulator
from tests.quantlab.deploy.networks import NETWORKS, network_program, with_codes
from tests.quantlab.deploy.test_qdq import LEVELS, check_network
from tests.quantlab.integer.networks import pixels
from tests.quantlab.integer.programs import Author, inputs

NUM_RANDOM = 40
Arrays = Mapping[str, NDArray[Any]]


def layers() -> Iterator[tuple[str, Program]]:
    """Yield layers by themselves with the largest weights and sums: bits, sizes, groups, types."""
    random = np.random.default_rng(0)

    def weight(shape: tuple[int, ...], bits: int) -> NDArray[np.int8]:
        half = 2 ** (bits - 1)
        ends = (-1, 1) if bits == 1 else (-half, half - 1)
        return random.choice(ends, shape).astype(np.int8)

    def alone(operation: Convolution | Linear | SumPool, x: TensorType) -> Program:
        return Program(inputs={"x": x}, operations=(operation,), outputs=("y",))

    for kind in (U8, S8, S16):
        for bits in range(1, 9):
            layer = Linear(
                inputs=("x",), output="y", weight=weight((7, 300), bits), weight_bits=bits,
                bias=random.integers(-99, 99, 7, np.int32),
            )  # fmt: skip
            yield f"linear {kind} {bits} bits", alone(layer, TensorType((300,), kind))
        for size in (1, 2, 3, 31, 4096):
            if kind == S16 and size == 4096:
                continue  # their sums need more than 32 bits
            layer = Linear(
                inputs=("x",), output="y", weight=weight((5, size), 8), weight_bits=8,
                bias=np.zeros(5, np.int32),
            )  # fmt: skip
            yield f"linear {kind} of {size}", alone(layer, TensorType((size,), kind))
        for channels, outputs, groups, kernel, dilation, bits in (
            (3, 8, 1, 3, 1, 8), (8, 8, 8, 3, 1, 8), (8, 16, 8, 3, 1, 8), (16, 16, 16, 5, 2, 8),
            (16, 8, 4, 3, 1, 8), (32, 16, 1, 1, 1, 8), (256, 4, 1, 4, 1, 7), (16, 8, 2, 3, 1, 4),
            (16, 8, 1, 3, 1, 2), (16, 8, 1, 3, 1, 1), (32, 32, 32, 3, 1, 4),
        ):  # fmt: skip
            if kind == S16 and channels == 256:
                continue
            convolution = Convolution(
                inputs=("x",), output="y", weight_bits=bits, groups=groups,
                weight=weight((outputs, channels // groups, kernel, kernel), bits),
                bias=random.integers(-99, 99, outputs, np.int32),
                padding_codes=random.integers(0, 5, channels, np.int32),
                windows=Windows(
                    kernel=(kernel, kernel), dilation=(dilation, dilation), padding=(1, 1, 1, 1),
                ),
            )  # fmt: skip
            name = f"convolution {kind} {channels}-{outputs} groups {groups} {kernel} {bits} bits"
            yield name, alone(convolution, TensorType((channels, 9, 9), kind))
        pool = SumPool(
            inputs=("x",), output="y", windows=Windows(kernel=(3, 3), stride=(2, 2)), padding_code=0
        )
        yield f"sum pool {kind}", alone(pool, TensorType((5, 9, 9), kind))


LAYERS = dict(layers())


def ends_of(kind: IntegerType, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return samples whose products are the largest: all of an end, its ends mixed, and any."""
    random = np.random.default_rng(1)
    ends = random.choice([kind.minimum, kind.maximum], (2, *shape))
    any_of_them = random.integers(kind.minimum, kind.maximum + 1, (1, *shape))
    same = [np.full((1, *shape), end) for end in (kind.minimum, kind.maximum)]
    return np.concatenate([*same, ends, any_of_them]).astype(kind.dtype)


def exact_cases() -> Iterator[tuple[str, Program, Arrays]]:
    """Yield programs with inputs."""
    for name, program in LAYERS.items():
        yield name, program, {"x": ends_of(program.types["x"].kind, program.types["x"].shape)}
    for seed in range(NUM_RANDOM):
        program = Author(seed).program(8)
        yield f"random {seed}", program, inputs(program, 2, seed)
    for name in NETWORKS:
        yield name, network_program(name), {"input": pixels(8, 3).numpy()}


def emulated(
    folder: Path, models: Mapping[str, onnx.ModelProto], inputs: Mapping[str, Arrays], level: str
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the outputs of models on the emulated processor."""
    for name, model in models.items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        np.savez(folder / f"{name}.npz", **inputs[name])
    run_emulated(Path(onnx_sessions.__file__), str(folder), level)
    found = {}
    for name in models:
        with np.load(folder / f"{name}.{level}.npz") as outputs:
            found[name] = dict(outputs)
    return found


@needs_emulator
def test_the_emulated_processor_saturates(tmp_path: Path) -> None:
    """Or else the tests below could not fail. If onnxruntime no longer saturates: good news."""
    weight = np.full((8, 1), 127, np.int8)
    node = helper.make_node("MatMulInteger", ["x", "weight"], ["y"])
    graph = helper.make_graph(
        [node],
        "saturating",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(AssertionError, match=r"MatMulInteger.*signed"):
        check_products(model)
    x = np.full((1, 8), 255, np.uint8)
    found = emulated(tmp_path, {"y": model}, {"y": {"x": x}}, LEVELS[0])
    assert found["y"]["y"].tolist() == [[4 * 32767]] != x.astype(int) @ weight


@needs_emulator
def test_exact_models_give_the_same_integers(tmp_path: Path) -> None:
    programs = {name: (program, arrays) for name, program, arrays in exact_cases()}
    found = emulated(
        tmp_path,
        {name: exact_model(program) for name, (program, _) in programs.items()},
        {name: arrays for name, (_, arrays) in programs.items()},
        "ORT_ENABLE_ALL",  # the default
    )
    for name, (program, arrays) in programs.items():
        for tensor, value in execute(program, arrays):
            np.testing.assert_array_equal(found[name][tensor], value, f"{name}: {tensor}")


@needs_emulator
@pytest.mark.parametrize("level", LEVELS)
def test_codes_of_qdq_models_are_as_near(level: str, tmp_path: Path) -> None:
    raw = {"input": pixels(60, 3).numpy()}
    programs = {name: network_program(name) for name in NETWORKS}
    models = {name: with_codes(qdq_model(p), p) for name, p in programs.items()}
    found = emulated(tmp_path, models, dict.fromkeys(NETWORKS, raw), level)
    for name, program in programs.items():
        check_network(program, dict(execute(program, raw)), found[name])


def check_products(model: onnx.ModelProto) -> None:
    """Check that no product is one of a signed and an unsigned byte, in an integer operator or in
    what runtimes make of layers between dequantized tensors."""
    inferred = shape_inference.infer_shapes(model, strict_mode=True)
    graph = inferred.graph
    types = {constant.name: constant.data_type for constant in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    made_by = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        factors = node.input[:2]
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            makers = [_behind_moves(made_by, name) for name in factors]
            if any(maker is None or maker.op_type != "DequantizeLinear" for maker in makers):
                continue
            factors = [maker.input[0] for maker in makers if maker is not None]
            # One of 16 bits is no byte: runtimes compute such layers in floats.
            if TensorProto.INT16 in [types[name] for name in factors]:
                continue
        elif node.op_type not in ("ConvInteger", "MatMulInteger"):
            continue
        names = [TensorProto.DataType.Name(types[name]) for name in factors]
        signed = names[1:] if "Integer" not in node.op_type else names
        assert "INT8" not in signed, f"{node.op_type} {node.output[0]}: a factor is signed: {names}"


def _behind_moves(made_by: Mapping[str, onnx.NodeProto], name: str) -> onnx.NodeProto | None:
    maker = made_by.get(name)
    while maker is not None and maker.op_type in ("Transpose", "Identity"):
        maker = made_by.get(maker.input[0])
    return maker


@pytest.mark.parametrize("make", [exact_model, qdq_model])
def test_no_model_has_a_saturating_product(make: Callable[[Program], onnx.ModelProto]) -> None:
    for name, program, _ in exact_cases():
        try:
            check_products(make(program))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
