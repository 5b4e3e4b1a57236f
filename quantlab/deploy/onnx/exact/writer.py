"""The graph of the exact dialect as it grows; see `model`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.onnx.graph import Graph, Model
from quantlab.deploy.onnx.metadata import metadata
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Operation, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType

_ZERO_OF_SIGNED = 128


class Writer:
    """The graph as it grows. Its tensors have the program's names and integers."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = Graph("quantlab", program.types)

    def types(self, operation: Operation) -> list[TensorType]:
        """Return the types of an operation's inputs."""
        return [self.program.types[name] for name in operation.inputs]

    def bounds(self, operation: Operation) -> list[Bound]:
        """Return what an operation's inputs are proven to lie within."""
        return [self.program.bounds[name] for name in operation.inputs]

    def model(self) -> Model:
        """Return the checked model, all the program's tensors as outputs."""
        outputs = {o.output: self.program.types[o.output] for o in self.program.operations}
        described = metadata(self.program)
        return self.graph.model(dict(self.program.inputs), outputs, metadata=described)

    def signed_bytes(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant of signed bytes, stored unsigned with the zero point 128."""
        return self.graph.constant(name, values.astype(np.int16) + _ZERO_OF_SIGNED, np.uint8)

    def sums_of_products(
        self, kind: str, x: str, given: TensorType, weight: str, **attributes: Any
    ) -> str:
        """Return the sums, in int32, of products of x and a weight of `signed_bytes`.

        Of a tensor of 16 bits: 256 times those of its upper byte, and those of its lower.
        """
        graph = self.graph

        def sums(part: str, zero: int) -> str:
            zeros = (graph.number(number, np.uint8) for number in (zero, _ZERO_OF_SIGNED))
            return graph.node(kind, part, weight, *zeros, **attributes)

        def signed(part: str) -> str:
            moved = graph.node("Add", part, graph.number(_ZERO_OF_SIGNED, np.int32))
            return sums(graph.cast(moved, np.uint8), _ZERO_OF_SIGNED)

        if given.kind == U8:
            return sums(x, 0)
        wide = graph.cast(x, np.int32)
        if given.kind == S8:
            return signed(wide)
        byte = graph.number(256, np.int32)
        low = graph.node("Mod", wide, byte)
        upper = signed(graph.node("Div", graph.node("Sub", wide, low), byte))
        lower = sums(graph.cast(low, np.uint8), 0)
        return graph.node("Add", graph.node("Mul", upper, byte), lower)

    def padded(self, x: str, given: TensorType, windows: Windows, codes: NDArray[Any]) -> str:
        """Return x with each channel's code around it."""
        graph = self.graph
        top, left, bottom, right = windows.padding
        below, beside = windows.overhang(*given.shape[1:])
        pads = [0, 0, top, left, 0, 0, bottom + below, right + beside]
        if not any(pads):
            return x
        wide = graph.cast(x, np.int32)
        if len(set(codes.tolist())) == 1:
            sides, code = graph.number(pads), graph.number(int(codes[0]), np.int32)
            around = graph.node("Pad", wide, sides, code)
            return graph.cast(around, given.kind.dtype)
        channels, height, width = given.shape
        border = np.broadcast_to(
            codes.reshape(-1, 1, 1),
            (channels, top + height + bottom + below, left + width + right + beside),
        ).copy()
        border[:, top : top + height, left : left + width] = 0
        around = graph.node("Pad", wide, graph.number(pads), graph.number(0, np.int32))
        whole = graph.node("Add", around, graph.number(border, np.int32))
        return graph.cast(whole, given.kind.dtype)


def window_attributes(windows: Windows, groups: int) -> dict[str, Any]:
    """Return the attributes of a convolution."""
    return {
        "strides": windows.stride,
        "dilations": windows.dilation,
        "group": groups,
        "kernel_shape": windows.kernel,
    }
