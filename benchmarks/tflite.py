"""TFLite files as integer programs: the same weights, for measurements beside TFLite's own tools.

It takes the operators of MLPerf Tiny's reference networks: Conv2D, DepthwiseConv2D, FullyConnected,
Add, AveragePool2D and Reshape, of int8 tensors with a scale and a zero point. Weights have a scale
for each output or one for all. Every tensor between two layers has 8 bits, as in the
file. A Softmax at the end is left out: the program gives the scores before it, and its `ending`
says so.

TFLite multiplies sums by multipliers of 31 bits and rounds twice: the product to 32 bits, then the
shift (B. Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018, arXiv:1712.05877, section 2.4). It rounds both terms of an
Add, then their sum. Programs round once, half up. So codes of a layer may differ by one, and then
those of the layers behind it by more; `benchmarks.tflite_rounding` counts them.

Shapes: a tensor `[1, H, W, C]` of the file is `[C, H, W]` in the program, `[1, N]` is `[N]`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.bounds import Bound, bound_of, prove
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.operations import (
    Add,
    Convolution,
    Linear,
    Operation,
    Permute,
    Requantize,
    Reshape,
    SumPool,
    Windows,
)
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, TensorType

_OPERATORS = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)
}
# The ends of fused activations, in real numbers.
_ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: (-np.inf, np.inf),
    schema.ActivationFunctionType.RELU: (0.0, np.inf),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
}
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A file as a program. tensors: the file's number of each tensor that both have, by the
    program's name."""

    program: Program
    tensors: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tensor:
    """A tensor of the file. scale, zero_point: one, or one for each channel; none of the shape of a
    Reshape, say. values: of a constant."""

    number: int
    shape: tuple[int, ...]
    scale: Floats
    zero_point: NDArray[np.int64]
    values: NDArray[Any] | None

    @property
    def name(self) -> str:
        return f"t{self.number}"

    @property
    def kind(self) -> TensorType:
        """The type in the program."""
        sizes = self.shape[1:]
        return TensorType((sizes[2], *sizes[:2]) if len(sizes) == 3 else sizes, S8)

    @property
    def reading(self) -> Reading:
        return Reading(scale=self.scale[0], offset=-self.scale[0] * self.zero_point[0])

    @property
    def constant(self) -> NDArray[Any]:
        """The values. Raises UsageError where the file has none."""
        if self.values is None:
            raise UsageError(f"tensor {self.number}: no values given, constants allowed here")
        return self.values


@dataclass(kw_only=True)
class _Writer:
    """A program as it grows. bounds: of all its tensors, by name."""

    tensors: list[_Tensor]
    types: dict[str, TensorType] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def append(self, operation: Operation) -> None:
        given = [self.types[name] for name in operation.inputs]
        bounds = [self.bounds[name] for name in operation.inputs]
        self.types[operation.output] = operation.infer(given)
        self.bounds[operation.output] = bound_of(operation, bounds, given)
        self.operations.append(operation)


@dataclass(frozen=True, kw_only=True)
class _Node:
    """An operator of the file. layer: what it is called in the program."""

    layer: str
    options: Any
    inputs: tuple[_Tensor, ...]
    output: _Tensor

    def refuse(self, given: str, allowed: str) -> UsageError:
        return UsageError(f"layer '{self.layer}': {given} given, {allowed} allowed")


def read(path: Path) -> Network:
    """Return a file's network. Raises UsageError, with the layer, for what programs have not."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    tensors = [_tensor(model, graph, number) for number in range(len(graph.tensors))]
    inputs = {tensors[number].name: tensors[number].kind for number in graph.inputs}
    writer = _Writer(tensors=tensors, types=dict(inputs), bounds=dict(prove(inputs, (), inputs)))
    last, ending = graph.outputs[0], ""
    for number, operator in enumerate(graph.operators):
        node, kind = _node(model, tensors, operator, number)
        if kind == "SOFTMAX" and node.output.number == last:
            last, ending = node.inputs[0].number, "Softmax"
            continue
        if kind not in _EMITTERS:
            raise node.refuse(kind, ", ".join(_EMITTERS))
        _EMITTERS[kind](node, writer)
    shared = {tensor.name: tensor for tensor in tensors if tensor.name in writer.types}
    program = Program(
        inputs=inputs,
        operations=tuple(writer.operations),
        outputs=(tensors[last].name,),
        reals={name: tensor.reading for name, tensor in shared.items()},
        endings=(ending,) if ending else (),
    )
    return Network(
        program=program, tensors={name: tensor.number for name, tensor in shared.items()}
    )


def _tensor(model: Any, graph: Any, number: int) -> _Tensor:
    given = graph.tensors[number]
    shape = tuple(int(size) for size in given.shape)
    data = model.buffers[given.buffer].data
    dtype = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}.get(given.type)
    if dtype is None:
        raise UsageError(f"tensor {number}: type {given.type} given, int8 and int32 allowed")
    scales = given.quantization
    has_scale = scales is not None and scales.scale is not None
    return _Tensor(
        number=number,
        shape=shape,
        scale=np.asarray(scales.scale if has_scale else [], np.float64),
        zero_point=np.asarray(scales.zeroPoint if has_scale else [], np.int64),
        values=None if data is None else np.asarray(data, np.uint8).view(dtype).reshape(shape),
    )


def _node(model: Any, tensors: list[_Tensor], operator: Any, number: int) -> tuple[_Node, str]:
    code = model.operatorCodes[operator.opcodeIndex]
    kind = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
    (output,) = operator.outputs
    node = _Node(
        layer=f"{kind.lower()}_{number}",
        options=operator.builtinOptions,
        inputs=tuple(tensors[one] for one in operator.inputs),
        output=tensors[output],
    )
    return node, kind


def _convolution(node: _Node, writer: _Writer) -> None:
    """weight: [O, h, w, C], or of a depthwise one [1, h, w, O]."""
    x, weight, _ = node.inputs
    is_depthwise = weight.shape[0] == 1 and hasattr(node.options, "depthMultiplier")
    axes = (3, 0, 1, 2) if is_depthwise else (0, 3, 1, 2)
    w_OCHW = weight.constant.transpose(axes)
    rows, columns = w_OCHW.shape[2:]
    dilation = (node.options.dilationHFactor, node.options.dilationWFactor)
    windows = _windows(node, (rows, columns), dilation)
    sums = f"{node.output.name}_sums"
    channels = x.kind.shape[0]
    writer.append(
        Convolution(
            inputs=(x.name,),
            output=sums,
            layer=node.layer,
            weight=w_OCHW,
            weight_bits=8,
            bias=_bias(node, w_OCHW),
            padding_codes=np.full(channels, x.zero_point[0]),
            windows=windows,
            groups=channels if is_depthwise else 1,
        )
    )
    factor = _factor(node).reshape(-1, 1, 1)
    _requantize(node, writer, sums, factor, _zero(node.output, factor))


def _linear(node: _Node, writer: _Writer) -> None:
    x, weight, _ = node.inputs
    sums = f"{node.output.name}_sums"
    writer.append(
        Linear(
            inputs=(x.name,),
            output=sums,
            layer=node.layer,
            weight=weight.constant,
            weight_bits=8,
            bias=_bias(node, weight.constant),
        )
    )
    factor = _factor(node)
    _requantize(node, writer, sums, factor, _zero(node.output, factor))


def _bias(node: _Node, weight: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the bias with the zero point's share, which TFLite takes from each input instead."""
    x, given, bias = node.inputs
    if given.zero_point.any():
        raise node.refuse(f"weights of zero points {set(given.zero_point.tolist())}", "0")
    totals: NDArray[np.int64] = weight.astype(np.int64).reshape(len(weight), -1).sum(1)
    total: NDArray[np.int64] = bias.constant.astype(np.int64) - x.zero_point[0] * totals
    if abs(total).max() >= 2**31:
        raise node.refuse(f"a bias of {abs(total).max()} with its zero point", "32 bits")
    return total.astype(np.int32)


def _factor(node: _Node) -> Floats:
    """Return what makes codes of sums, one or one for each output."""
    x, weight, _ = node.inputs
    return np.asarray(x.scale * weight.scale / node.output.scale)


def _zero(output: _Tensor, factor: Floats) -> Floats:
    """Return the code of zero, in the shape of a factor."""
    return np.full(factor.shape, float(output.zero_point[0]))


def _requantize(node: _Node, writer: _Writer, name: str, factor: Floats, offset: Floats) -> None:
    """Append codes that are factor * sums + offset, rounded."""
    bounds = [writer.bounds[name]]
    (multiplier,), rounding, shift = choose([factor], offset + 0.5, bounds, node.layer)
    low, high = _ends(node)
    writer.append(
        Requantize(
            inputs=(name,),
            output=node.output.name,
            layer=node.layer,
            multiplier=multiplier,
            offset=rounding,
            shift=shift,
            low=low,
            high=high,
            kind=S8,
        )
    )


def _add(node: _Node, writer: _Writer) -> None:
    factors = [one.scale / node.output.scale for one in node.inputs]
    zeros = [f * one.zero_point for f, one in zip(factors, node.inputs, strict=True)]
    offset = _zero(node.output, factors[0]) - zeros[0] - zeros[1] + 0.5
    bounds = [writer.bounds[one.name] for one in node.inputs]
    (left, right), rounding, shift = choose(factors, offset, bounds, node.layer)
    low, high = _ends(node)
    writer.append(
        Add(
            inputs=tuple(one.name for one in node.inputs),
            output=node.output.name,
            layer=node.layer,
            left_multiplier=left,
            right_multiplier=right,
            offset=rounding,
            shift=shift,
            low=low,
            high=high,
            kind=S8,
        )
    )


def _average_pool(node: _Node, writer: _Writer) -> None:
    """The mean of codes is the code of the mean: input and output have one grid."""
    (x,) = node.inputs
    if x.scale != node.output.scale or x.zero_point != node.output.zero_point:
        raise node.refuse("another grid than the input's", "the same")
    kernel = (node.options.filterHeight, node.options.filterWidth)
    windows = _windows(node, kernel, (1, 1))
    if any(windows.padding):
        raise node.refuse(f"padding {windows.padding}", "none")
    sums = f"{node.output.name}_sums"
    writer.append(SumPool(inputs=(x.name,), output=sums, layer=node.layer, windows=windows))
    factor = np.full(1, 1 / prod(kernel))
    _requantize(node, writer, sums, factor, np.zeros(1))


def _reshape(node: _Node, writer: _Writer) -> None:
    """The file has channels last, the program first: an image of several places is turned before
    it is flattened."""
    x = node.inputs[0]
    name, sizes = x.name, x.kind.shape
    if len(node.output.kind.shape) != 1:
        raise node.refuse(f"a shape of {list(node.output.shape)}", "[1, N]")
    if len(sizes) == 3 and prod(sizes[1:]) > 1:
        name = f"{node.output.name}_turned"
        writer.append(Permute(inputs=(x.name,), output=name, layer=node.layer, axes=(1, 2, 0)))
    writer.append(
        Reshape(
            inputs=(name,),
            output=node.output.name,
            layer=node.layer,
            shape=node.output.kind.shape,
        )
    )


def _windows(node: _Node, kernel: tuple[int, int], dilation: tuple[int, int]) -> Windows:
    """Return the windows of TFLite's paddings: VALID has none, SAME as much as makes the output as
    large as the input divided by the stride, the odd one at the bottom and the right."""
    stride = (node.options.strideH, node.options.strideW)
    paddings = [0, 0]
    if node.options.padding == schema.Padding.SAME:
        paddings = [
            max(0, (-(-size // step) - 1) * step + (count - 1) * gap + 1 - size)
            for size, step, count, gap in zip(
                node.inputs[0].kind.shape[1:], stride, kernel, dilation, strict=True
            )
        ]
    before = [one // 2 for one in paddings]
    after = [one - half for one, half in zip(paddings, before, strict=True)]
    return Windows(
        kernel=kernel,
        stride=stride,
        padding=(before[0], before[1], after[0], after[1]),
        dilation=dilation,
    )


def _ends(node: _Node) -> tuple[int, int]:
    """Return the codes between which the output lies."""
    kind = node.options.fusedActivationFunction
    if kind not in _ACTIVATIONS:
        raise node.refuse(f"fused activation {kind}", f"{', '.join(map(str, _ACTIVATIONS))}")
    scale, zero_point = node.output.scale[0], node.output.zero_point[0]
    low, high = _ACTIVATIONS[kind]
    codes = np.rint(np.clip(np.array([low, high]) / scale, -1000, 1000)) + zero_point
    least, most = codes.clip(S8.minimum, S8.maximum).astype(int).tolist()
    return least, most


_EMITTERS: Mapping[str, Callable[[_Node, _Writer], None]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _linear,
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "RESHAPE": _reshape,
}
