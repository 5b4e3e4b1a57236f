"""How C stores weights: the encoding of each layer, and sparse kernels here and on boards."""

import json

import numpy as np
import pytest

from quantlab.deploy.c.kernels.choice import Encoding
from quantlab.deploy.c.model import c_model
from quantlab.errors import UsageError
from quantlab.integer.operations import Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, TensorType


def linear(weight: np.ndarray) -> Program:
    """Return one layer."""
    layer = Linear(
        inputs=("x",), output="y", weight=weight.astype(np.int8), weight_bits=8,
        bias=np.zeros(len(weight), np.int32),
    )  # fmt: skip
    kind = TensorType((weight.shape[1],), S8)
    return Program(inputs={"x": kind}, operations=(layer,), outputs=("y",))


def weights_of(program: Program, encoding: Encoding) -> dict[str, dict[str, object]]:
    """Return what the manifest says of the weights."""
    found: dict[str, dict[str, object]] = json.loads(
        c_model(program, encoding).files["model.json"]
    )["weights"]
    return found


def test_the_manifest_has_the_encoding_and_the_bytes_of_each_layer() -> None:
    assert weights_of(linear(np.ones((3, 4))), "dense") == {"y": {"encoding": "dense", "bytes": 12}}


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("dens", r"encoding: 'dens' given, auto, dense.* allowed; did you mean 'dense'\?"),
        ({"z": "dense"}, "encoding: no layer makes 'z'"),
        ({"y": "auto"}, r"encoding\['y'\]: 'auto' given, dense.* allowed"),
    ],
)
def test_what_is_no_encoding_is_refused(encoding: Encoding, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        c_model(linear(np.ones((3, 4))), encoding)
