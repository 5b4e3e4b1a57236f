"""The tensors of a model, and what tells two models apart."""

import hashlib
from collections.abc import Mapping

import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from quantlab.errors import VerificationError
from quantlab.integer.file import REMEDY


def tensor_hashes(model: onnx.ModelProto) -> Mapping[str, str]:
    """Return the SHA-256 of each constant's numbers, by name."""
    return {
        tensor.name: hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()
        for tensor in model.graph.initializer
    }


def read_model(data: bytes, expected: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Return the model of a file. source: its name, for errors.

    Raises VerificationError, with the tensor and its hash, unless it is the expected one.
    """
    try:
        model = onnx.load_model_from_string(data)
        found = tensor_hashes(model)
    except (DecodeError, ValueError, TypeError) as error:
        raise VerificationError(f"{source}: no ONNX model, or damaged: {error}") from error
    for name, wanted in tensor_hashes(expected).items():
        if found.get(name) != wanted:
            given = f"its SHA-256 is {found[name][:16]}..." if name in found else "it is missing"
            raise VerificationError(
                f"{source}: tensor '{name}' is not the program's: {given}, {wanted[:16]}... is; "
                f"{REMEDY}"
            )
    if model.SerializeToString(deterministic=True) != expected.SerializeToString(
        deterministic=True
    ):
        raise VerificationError(
            f"{source}: its tensors are the program's, but not its graph; {REMEDY}"
        )
    return model
