"""Small TFLite files, made with the schema's own classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """shape: with the batch of 1. values: of constants. axis: along which scales are many."""

    shape: tuple[int, ...]
    scale: Sequence[float]
    zero_point: int = 0
    values: NDArray[Any] | None = None
    axis: int = 0


@dataclass(frozen=True, kw_only=True)
class Operator:
    """kind: a name of `schema.BuiltinOperator`. options: fields of its class of options."""

    kind: str
    inputs: Sequence[int]
    output: int
    options: Mapping[str, int]


_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
    "MUL": "MulOptions",
}


def write(path: Path, tensors: Sequence[Tensor], operators: Sequence[Operator]) -> Path:
    """Write a file whose input is tensor 0 and whose output is that of the last operator."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [schema.BufferT()]
    model.operatorCodes, graph.tensors, graph.operators = [], [], []
    for tensor in tensors:
        graph.tensors.append(_tensor(model, tensor))
    for number, operator in enumerate(operators):
        code, node = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, operator.kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        model.operatorCodes.append(code)
        node.opcodeIndex = number
        node.inputs, node.outputs = list(operator.inputs), [operator.output]
        name = _OPTIONS[operator.kind]
        node.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        node.builtinOptions = getattr(schema, f"{name}T")()
        for field, value in operator.options.items():
            setattr(node.builtinOptions, field, value)
        graph.operators.append(node)
    graph.inputs, graph.outputs = [0], [operators[-1].output]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(model: Any, tensor: Tensor) -> Any:
    made, grid = schema.TensorT(), schema.QuantizationParametersT()
    is_wide = tensor.values is not None and tensor.values.dtype == np.int32
    made.type = schema.TensorType.INT32 if is_wide else schema.TensorType.INT8
    made.shape, made.quantization = list(tensor.shape), grid
    if tensor.scale:
        grid.scale, grid.quantizedDimension = list(tensor.scale), tensor.axis
        grid.zeroPoint = [tensor.zero_point] * len(tensor.scale)
    made.buffer = 0
    if tensor.values is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.values.tobytes(), np.uint8)
        made.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return made
