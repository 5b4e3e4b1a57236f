"""ONNX graphs: built, and read from files. Nothing else of the library imports `onnx`."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

from quantlab.errors import VerificationError
from quantlab.integer.file import REMEDY
from quantlab.integer.tensor_type import TensorType

Model = onnx.ModelProto
OPSET, IR_VERSION = 21, 10
BATCH = "N"


class Graph:
    """Nodes one after the other. Each method returns the name of what it makes.

    taken: names that no node or constant gets unless told to.
    """

    def __init__(self, name: str, taken: Collection[str]) -> None:
        self._name, self._taken = name, taken
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def node(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Append a node. to: the name of its output."""
        output = self._output(kind, to)
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, values: ArrayLike, dtype: DTypeLike) -> str:
        """Add a constant under a name of its own."""
        self._constants[name] = numpy_helper.from_array(np.asarray(values, dtype), name)
        return name

    def number(self, values: ArrayLike, dtype: DTypeLike = np.int64) -> str:
        """Add a constant that is no tensor of the program; the same one is added once."""
        array = np.asarray(values, dtype)
        text = "_".join(map(str, array.reshape(-1).tolist()[:8]))
        name = f"_constant_{array.dtype.name}_{'x'.join(map(str, array.shape))}_{text}"
        is_another = name in self._constants and not np.array_equal(
            numpy_helper.to_array(self._constants[name]), array
        )
        if is_another:
            name = f"{name}_{len(self._constants)}"
        while name in self._taken:
            name += "_"
        return self.constant(name, array, array.dtype)

    def cast(self, tensor: str, dtype: DTypeLike, *, to: str | None = None) -> str:
        """Append a conversion."""
        output = self._output("Cast", to)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._nodes.append(helper.make_node("Cast", [tensor], [output], to=kind))
        return output

    def _output(self, kind: str, to: str | None) -> str:
        """Return the name of a new node's output: numbered, where none is wanted."""
        self._count += 1
        while f"_{self._count}_{kind}" in self._taken:
            self._count += 1
        return to or f"_{self._count}_{kind}"

    def model(
        self,
        inputs: dict[str, TensorType],
        outputs: dict[str, TensorType],
        *,
        metadata: Mapping[str, str],
        has_real_outputs: bool = False,
    ) -> Model:
        """Return the checked model. has_real_outputs: float32 in place of the types' integers."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [_value(name, given) for name, given in inputs.items()],
            [_value(name, given, is_real=has_real_outputs) for name, given in outputs.items()],
            list(self._constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], producer_name="quantlab")
        model.ir_version = IR_VERSION
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


def _value(name: str, given: TensorType, *, is_real: bool = False) -> onnx.ValueInfoProto:
    dtype = np.dtype(np.float32 if is_real else given.kind.dtype)
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, [BATCH, *given.shape])


def to_bytes(model: Model) -> bytes:
    """Return the bytes of a model's file, always the same ones."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def from_bytes(data: bytes) -> Model:
    """Return the model of a file's bytes. Raises DecodeError."""
    return onnx.load_model_from_string(data)


def tensor_hashes(model: Model) -> Mapping[str, str]:
    """Return the SHA-256 of each constant's numbers, by name."""
    return {
        tensor.name: hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()
        for tensor in model.graph.initializer
    }


def read_model(data: bytes, expected: Model, source: str) -> Model:
    """Return the model of a file. source: its name, for errors.

    Raises VerificationError, with the tensor and its hash, unless it is the expected one.
    """
    try:
        model = from_bytes(data)
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
    if to_bytes(model) != to_bytes(expected):
        raise VerificationError(
            f"{source}: its tensors are the program's, but not its graph; {REMEDY}"
        )
    return model
