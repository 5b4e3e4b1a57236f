"""Operations that move elements alone."""

from collections.abc import Sequence
from typing import Any

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.qdq.writer import Writer
from quantlab.integer.operations import Concatenate, Operation, Permute, Reshape, Slice
from quantlab.integer.tensor_type import S32


def reshape(operation: Reshape, writer: Writer) -> None:
    shape = [0, *operation.shape] if 0 not in operation.shape else operation.shape
    moved(writer, operation, "Reshape", [writer.graph.number(shape)])


def permute(operation: Permute, writer: Writer) -> None:
    moved(writer, operation, "Transpose", perm=[0, *(axis + 1 for axis in operation.axes)])


def slice_(operation: Slice, writer: Writer) -> None:
    numbers = (operation.start, operation.stop, operation.axis + 1, operation.step)
    moved(writer, operation, "Slice", [writer.graph.number([number]) for number in numbers])


def concatenate(operation: Concatenate, writer: Writer) -> None:
    moved(writer, operation, "Concat", axis=operation.axis + 1)


def moved(
    writer: Writer,
    operation: Operation,
    kind: str,
    constants: Sequence[str] = (),
    **attributes: Any,
) -> None:
    """Append a node that does to floats what the operation does to integers, all in one scale."""
    output = operation.output
    is_of_codes = writer.program.types[output].kind != S32
    reading = writer.grid(output) if is_of_codes else writer.even(operation.inputs[0])[1]
    sources = [writer.converted(name, reading) for name in operation.inputs]
    name = None if is_of_codes else writer.name(output, reading)
    floats = writer.graph.node(kind, *sources, *constants, to=name, **attributes)
    if is_of_codes:
        writer.quantize(output, floats)
    else:
        writer.keep(output, floats, reading)


EMITTERS: Emitters = {
    Reshape: reshape,
    Permute: permute,
    Slice: slice_,
    Concatenate: concatenate,
}
