"""TFLite files become programs: every tensor beside TFLite's own reference kernels."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.interpreter import execute

if importlib.util.find_spec("ai_edge_litert") is None:
    pytest.skip("ai_edge_litert is not installed: pip install .[bench]", allow_module_level=True)

from ai_edge_litert import schema_py_generated as schema

from benchmarks.reference_networks import NETWORKS
from benchmarks.tflite import Network, read
from benchmarks.tflite_interpreter import Reference
from quantlab.deploy.verification import verify
from tests.benchmarks.tflite_files import Operator, Tensor, write
from tests.quantlab.deploy.boards import engine

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "tinyml"
official = pytest.mark.skipif(not OFFICIAL.exists(), reason="the files of MLPerf Tiny are not here")
BOARDS = ("c-m0", "c-m3", "c-m4", "c-m7", "c-m33", "c-m55", "c-rv32")
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6, TANH = (
    getattr(schema.ActivationFunctionType, name) for name in ("NONE", "RELU", "RELU6", "TANH")
)
MAKE = np.random.default_rng(0)


def constant(shape: tuple[int, ...], scale: list[float], axis: int = 0) -> Tensor:
    return Tensor(
        shape=shape,
        scale=scale,
        values=MAKE.integers(-127, 128, shape, dtype=np.int8),
        axis=axis,
    )


def bias(outputs: int) -> Tensor:
    values = MAKE.integers(-2000, 2000, outputs, dtype=np.int32)
    return Tensor(shape=(outputs,), scale=[1e-3], values=values)


def scales(outputs: int) -> list[float]:
    return MAKE.uniform(0.002, 0.01, outputs).tolist()


def differences(path: Path, count: int = 8) -> tuple[Network, dict[str, NDArray[Any]]]:
    """Return by how much each element of each tensor differs from TFLite's."""
    network = read(path)
    program = network.program
    ((name, kind),) = program.inputs.items()
    samples = MAKE.integers(-128, 128, (count, *kind.shape), dtype=np.int8)
    ours = dict(execute(program, {name: samples}))
    theirs = Reference(path)(samples, {k: n for k, n in network.tensors.items() if k in ours})
    return network, {name: abs(ours[name].astype(int) - theirs[name]) for name in theirs}


WINDOWS = [
    {"padding": SAME, "strideH": 2, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1},
    {"padding": SAME, "strideH": 3, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1},
    {"padding": VALID, "strideH": 1, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1},
    {"padding": SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 2, "dilationWFactor": 3},
]


@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("activation", [NONE, RELU, RELU6])
@pytest.mark.parametrize("is_depthwise", [False, True], ids=["whole", "depthwise"])
def test_a_convolution_is_tflites_but_for_rounding(
    options: dict[str, int], activation: int, is_depthwise: bool, tmp_path: Path
) -> None:
    outputs = 8 if is_depthwise else 6
    shape = (1, 3, 4, 8) if is_depthwise else (outputs, 3, 4, 4)
    x = Tensor(shape=(1, 9, 14, 8 if is_depthwise else 4), scale=[0.05], zero_point=-17)
    weight = constant(shape, scales(outputs), axis=3 if is_depthwise else 0)
    rows, columns = (
        -(-(size - (0 if options["padding"] == SAME else kernel - 1)) // options[f"stride{axis}"])
        for size, kernel, axis in ((9, 3, "H"), (14, 4, "W"))
    )
    y = Tensor(shape=(1, rows, columns, outputs), scale=[0.1], zero_point=-60)
    kind = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    more = {"depthMultiplier": 1} if is_depthwise else {}
    operator = Operator(
        kind=kind,
        inputs=(0, 1, 2),
        output=3,
        options={**options, **more, "fusedActivationFunction": activation},
    )
    path = write(tmp_path / "x.tflite", [x, weight, bias(outputs), y], [operator])
    _, by_tensor = differences(path)
    (found,) = by_tensor.values()
    assert found.shape[1:] == (outputs, rows, columns)
    assert found.max() <= 1
    assert found.mean() < 0.02


def test_an_image_is_flattened_as_tflite_does(tmp_path: Path) -> None:
    """Average pooling, an image of several places, a layer behind it, and a Softmax left out."""
    x = Tensor(shape=(1, 6, 4, 3), scale=[0.05], zero_point=3)
    pooled = Tensor(shape=(1, 3, 2, 3), scale=[0.05], zero_point=3)
    flat = Tensor(shape=(1, 18), scale=[0.05], zero_point=3)
    sizes = Tensor(shape=(2,), scale=[], values=np.array([1, 18], np.int32))
    scores = Tensor(shape=(1, 5), scale=[0.1], zero_point=9)
    chances = Tensor(shape=(1, 5), scale=[1 / 256], zero_point=-128)
    pool = {"padding": VALID, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    path = write(
        tmp_path / "x.tflite",
        [x, pooled, sizes, flat, constant((5, 18), [0.004]), bias(5), scores, chances],
        [
            Operator(kind="AVERAGE_POOL_2D", inputs=(0,), output=1, options=pool),
            Operator(kind="RESHAPE", inputs=(1, 2), output=3, options={}),
            Operator(kind="FULLY_CONNECTED", inputs=(3, 4, 5), output=6, options={}),
            Operator(kind="SOFTMAX", inputs=(6,), output=7, options={"beta": 1}),
        ],
    )
    network, found = differences(path, 64)
    assert network.program.outputs == ("t6",)
    assert network.program.endings == ("Softmax",)
    assert list(found) == ["t1", "t3", "t6"]
    assert max(one.max() for one in found.values()) <= 1
    # Ties below zero, which TFLite rounds down: of four elements every fourth sum of these is one.
    assert found["t1"].mean() == pytest.approx(1 / 8, abs=0.04)
    assert network.program.reals["t6"](np.array([9, 10])).tolist() == pytest.approx([0, 0.1])


def test_a_sum_has_8_bits(tmp_path: Path) -> None:
    x = Tensor(shape=(1, 5, 4, 8), scale=[0.05], zero_point=-17)
    weight = constant((8, 1, 1, 8), scales(8))
    y = Tensor(shape=(1, 5, 4, 8), scale=[0.09], zero_point=20)
    total = Tensor(shape=(1, 5, 4, 8), scale=[0.11], zero_point=-90)
    same = {"padding": SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    path = write(
        tmp_path / "x.tflite",
        [x, weight, bias(8), y, total],
        [
            Operator(kind="CONV_2D", inputs=(0, 1, 2), output=3, options=same),
            Operator(
                kind="ADD", inputs=(0, 3), output=4, options={"fusedActivationFunction": RELU}
            ),
        ],
    )
    network, found = differences(path)
    assert str(network.program.types["t4"]) == "s8[8, 5, 4]"
    assert max(one.max() for one in found.values()) <= 1
    assert found["t4"].mean() < 0.02


def test_what_programs_have_not_is_refused_with_the_layer(tmp_path: Path) -> None:
    x = Tensor(shape=(1, 18), scale=[0.05])
    product = Operator(kind="MUL", inputs=(0, 0), output=1, options={})
    path = write(tmp_path / "x.tflite", [x, x], [product])
    with pytest.raises(UsageError, match=r"layer 'mul_0': MUL given, CONV_2D, .* allowed"):
        read(path)
    weight = constant((5, 18), [0.004])
    layer = Operator(
        kind="FULLY_CONNECTED",
        inputs=(0, 1, 2),
        output=3,
        options={"fusedActivationFunction": TANH},
    )
    y = Tensor(shape=(1, 5), scale=[0.1])
    path = write(tmp_path / "x.tflite", [x, weight, bias(5), y], [layer])
    with pytest.raises(UsageError, match="layer 'fully_connected_0': fused activation 4 given"):
        read(path)
    shifted = Tensor(shape=weight.shape, scale=[0.004], zero_point=3, values=weight.values)
    path = write(tmp_path / "x.tflite", [x, shifted, bias(5), y], [layer])
    with pytest.raises(UsageError, match=r"weights of zero points \{3\} given, 0 allowed"):
        read(path)


@official
@pytest.mark.parametrize(
    ("name", "weights", "share"),
    [
        ("ad01_int8", 264_192, 0.001),
        ("kws_ref_model", 22_016, 0.2),
        ("pretrainedResnet_quant", 77_360, 0.2),
        ("vww_96_int8", 208_112, 0.3),
    ],
)
def test_reference_networks_have_the_files_weights_and_8_bits(
    name: str, weights: int, share: float
) -> None:
    network, found = differences(OFFICIAL / f"{name}.tflite", 2)
    program = network.program
    sizes = [o.constants()["weight"].size for o in program.operations if "weight" in o.constants()]
    assert sum(sizes) == weights
    assert {str(program.types[name].kind) for name in network.tensors} == {"s8"}
    first = next(iter(found))
    assert found[first].max() <= 1
    assert np.concatenate([one.ravel() > 0 for one in found.values()]).mean() < share


@official
@pytest.mark.long
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", ["c", *(engine(board) for board in BOARDS)])
def test_reference_networks_in_c_have_every_element(network: str, name: str) -> None:
    program = read(OFFICIAL / NETWORKS[network]).program
    ((given, kind),) = program.inputs.items()
    count = 1000 if name == "c" else 16
    samples = np.random.default_rng(1).integers(-128, 128, (count, *kind.shape), dtype=np.int8)
    batches = [{given: samples[first : first + 16]} for first in range(0, count, 16)]
    if name == "c-m0" and network != "DS-CNN":
        with pytest.raises(UsageError, match=r"bytes of (FLASH|RAM) needed, [\d,]+ available"):
            verify(program, batches, name)
        return
    (found,) = verify(program, batches, name)
    assert found.num_mismatches == 0, found.first
    assert found.num_samples == count
