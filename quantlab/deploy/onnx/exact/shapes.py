"""Operations that move elements alone."""

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.exact.writer import Writer
from quantlab.integer.operations import Concatenate, Permute, Reshape, Slice


def reshape(operation: Reshape, writer: Writer) -> None:
    graph = writer.graph
    shape = graph.number([0, *operation.shape] if 0 not in operation.shape else operation.shape)
    graph.node("Reshape", operation.inputs[0], shape, to=operation.output)


def permute(operation: Permute, writer: Writer) -> None:
    axes = [0, *(axis + 1 for axis in operation.axes)]
    writer.graph.node("Transpose", operation.inputs[0], to=operation.output, perm=axes)


def slice_(operation: Slice, writer: Writer) -> None:
    numbers = (operation.start, operation.stop, operation.axis + 1, operation.step)
    arguments = (writer.graph.number([number]) for number in numbers)
    writer.graph.node("Slice", operation.inputs[0], *arguments, to=operation.output)


def concatenate(operation: Concatenate, writer: Writer) -> None:
    axis = operation.axis + 1
    writer.graph.node("Concat", *operation.inputs, to=operation.output, axis=axis)


EMITTERS: Emitters = {
    Reshape: reshape,
    Permute: permute,
    Slice: slice_,
    Concatenate: concatenate,
}
