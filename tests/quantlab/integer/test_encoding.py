"""Rows of real numbers as a program's integers, wherever the program goes."""

import json
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.graph import to_bytes as onnx_bytes
from quantlab.deploy.onnx.metadata import INPUTS
from quantlab.deploy.onnx.qdq import qdq_model
from quantlab.deploy.program.artefact import PROGRAM
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.encoding import Encoding
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType

NAMES = ("year", "price", "share")
STEP, ZERO = 1 / 32, 128
MEAN, STD = np.array([2020.0, -5e3, 0.1]), np.array([3.0, 1e3, 0.02])
SCALE = STEP * STD
ENCODING = Encoding(
    names=NAMES, scale=SCALE, zero_point=np.rint(ZERO - MEAN / SCALE).astype(np.int64)
)
SPEC = InputSpec(shape=(3,), scale=(STEP,), zero_point=(ZERO,), encoding=ENCODING)


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 3)) * STD * 2 + MEAN


def reals(raw: np.ndarray) -> Tensor:
    codes = ENCODING(raw, TensorType((3,), U8)).astype(np.float64)
    return torch.from_numpy((codes - ZERO) * STEP).float()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    ste = {"kind": "ste", "num_bits": 8}
    rules = [
        {"select": "*", "on": "weight", "algorithm": ste},
        {"select": "!first", "on": "input", "algorithm": ste},
    ]
    quantize(net, QuantizeConfig.model_validate({"rules": rules}).rules)
    calibrate(net, [reals(rows())])
    return net


@pytest.fixture(scope="module")
def program(network: nn.Module) -> Program:
    return lower(network, SPEC, reals(rows()))


@given(
    number=st.floats(-1e9, 1e9),
    scale=st.sampled_from([1.0, 0.25, 3.0, 2.0**-20]),
    zero_point=st.integers(-1000, 1000),
    kind=st.sampled_from([U8, S8]),
)
def test_codes_are_those_of_exact_arithmetic(
    number: float, scale: float, zero_point: int, kind: object
) -> None:
    given = TensorType((1,), kind)  # type: ignore[arg-type]
    one = Encoding(names=("x",), scale=np.array([scale]), zero_point=np.array([zero_point]))
    (found,) = one(np.array([[number]]), given)[0].tolist()
    # The quotient is rounded once, as IEEE says; all that follows is exact.
    quotient = Fraction(number / scale) + Fraction(1, 2)
    rounded = floor(Fraction(float(quotient)))
    assert found == min(max(rounded + zero_point, given.kind.minimum), given.kind.maximum)


def test_a_program_of_rows_computes_what_the_network_computes(
    network: nn.Module, program: Program
) -> None:
    (output,) = program.outputs
    codes = program.encode("input", rows())
    assert codes.dtype == np.uint8
    assert len(np.unique(codes)) > 50  # of all levels, though the features' units differ
    with torch.no_grad():
        wanted = network(reals(rows())).numpy()
    found = program.reals[output](run(program, {"input": codes})[output])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_travels_in_the_programs_file(program: Program) -> None:
    read = from_bytes(to_bytes(program), "program.qlp")
    encoding = read.encodings["input"]
    assert encoding.names == NAMES
    assert np.array_equal(read.encode("input", rows()), program.encode("input", rows()))
    assert to_bytes(read) == to_bytes(program)


@pytest.mark.parametrize("dialect", [exact_model, qdq_model])
def test_it_travels_in_the_metadata_of_both_dialects(program: Program, dialect: object) -> None:
    model = onnx_bytes(dialect(program))  # type: ignore[operator]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    described = json.loads(properties[INPUTS])["input"]
    assert described["scale"] == [STEP]
    assert described["zero_point"] == [ZERO]
    encoding = described["encoding"]
    assert encoding["names"] == list(NAMES)
    # What a host makes of it alone, feature by feature.
    codes = [
        np.clip(np.floor(column / scale + 0.5) + zero, 0, 255)
        for column, scale, zero in zip(
            rows().T, encoding["scale"], encoding["zero_point"], strict=True
        )
    ]
    assert np.array_equal(np.stack(codes, 1), program.encode("input", rows()))


@pytest.mark.parametrize(
    "changed",
    [
        replace(ENCODING, scale=2 * SCALE),
        replace(ENCODING, zero_point=ENCODING.zero_point + 1),
        replace(ENCODING, names=("year", "prize", "share")),
    ],
)
def test_a_file_of_another_encoding_is_refused_by_name(program: Program, changed: Encoding) -> None:
    other = replace(program, encodings={"input": changed})
    with pytest.raises(VerificationError, match=r"^program\.qlp: the encoding of 'input' is not"):
        PROGRAM.check(to_bytes(other), to_bytes(program), "program.qlp")
    without = replace(program, encodings={})
    with pytest.raises(VerificationError, match=r"^program\.qlp: the encoding of 'input' is not"):
        PROGRAM.check(to_bytes(without), to_bytes(program), "program.qlp")


def test_images_say_what_their_integers_stand_for() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}
    quantize(net, QuantizeConfig.model_validate({"rules": [rule]}).rules)
    calibrate(net, [torch.zeros(2, 1, 3, 4)])
    image = InputSpec(shape=(1, 3, 4), scale=(1 / 78.6,), zero_point=(33,))
    made = lower(net, image, torch.zeros(2, 1, 3, 4))
    for dialect in (exact_model, qdq_model):
        (entry,) = dialect(made).metadata_props
        assert json.loads(entry.value) == {"input": {"scale": [1 / 78.6], "zero_point": [33]}}
    pixels = np.zeros((2, 1, 3, 4), np.uint8)
    assert made.encode("input", pixels) is pixels


def test_what_is_refused(program: Program) -> None:
    with pytest.raises(UsageError, match=r"rows: shape \[50, 2\] given, \[N, 3\] allowed"):
        program.encode("input", rows()[:, :2])
    for number in (np.nan, np.inf):
        damaged = rows()
        damaged[7, 1] = number
        with pytest.raises(UsageError, match=f"rows: {number} given in row 7, feature 'price'"):
            program.encode("input", damaged)
    with pytest.raises(UsageError, match="3 names, 2 scales and 3 zero points given"):
        replace(ENCODING, scale=SCALE[:2])
    with pytest.raises(UsageError, match=r"scales \[3, 1\] and zero points \[3\] given; \[3\]"):
        replace(ENCODING, scale=SCALE[:, None])
    with pytest.raises(UsageError, match="zero points of float64 given; integers allowed"):
        replace(ENCODING, zero_point=np.zeros(3))  # type: ignore[arg-type]
    for scale in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(UsageError, match=f"scale {scale} of feature 'price' given"):
            replace(ENCODING, scale=np.array([1.0, scale, 1.0]))
    with pytest.raises(UsageError, match="no input is named 'inputs', which is encoded; did you"):
        replace(program, encodings={"inputs": ENCODING})
    two = Encoding(names=("a", "b"), scale=np.ones(2), zero_point=np.zeros(2, np.int64))
    with pytest.raises(UsageError, match=r"2 features given for the input 'input' of shape \[3\]"):
        replace(program, encodings={"input": two})
    with pytest.raises(UsageError, match=r"an encoding of 3 features given, shape \[4\]"):
        InputSpec(shape=(4,), scale=(1.0,), zero_point=(0,), encoding=ENCODING)
    with pytest.raises(UsageError, match="2 scales and 1 zero points given, 1 of each allowed"):
        InputSpec(shape=(3,), scale=(1.0, 2.0), zero_point=(0,))
    with pytest.raises(UsageError, match="1 scales and 1 zero points given, 3 of each allowed"):
        InputSpec(shape=(3, 4), scale=(1.0,), zero_point=(0,))
    shapes = r"an image \[C, H, W\], a signal \[C, W\] or a row \[F\] allowed"
    for shape in ((), (1, 2, 3, 4)):
        with pytest.raises(UsageError, match=shapes):
            InputSpec(shape=shape, scale=(1.0,), zero_point=(0,))
