"""Sums of products: a row for each input and weight of a neuron."""

from math import prod

from quantlab.deploy.clickhouse.relational.geometry import padded, pixels, size, windowed
from quantlab.deploy.clickhouse.relational.products import rows_as_image
from quantlab.deploy.clickhouse.relational.writer import Writer, columns, step
from quantlab.deploy.clickhouse.sql.functions import call, index
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression, Join, Step
from quantlab.deploy.emitter import Emitters
from quantlab.integer.operations import Convolution, Linear, Windows
from quantlab.integer.tensor_type import TensorType

_KEYS = ("sample", "place", "neuron")


def convolution(operation: Convolution, writer: Writer) -> None:
    (given,) = writer.types(operation)
    image = pixels(writer.source(operation.inputs[0]), given)
    if operation.windows.is_padded:
        codes = writer.constants("paddings", operation)
        image = padded(image, writer.samples(), given, operation.windows, codes)
    places = prod(operation.windows.output_size(*given.shape[1:]))
    element = Column("neuron") * size("places", places) + Column("place")
    _sums(operation, writer, image, given, operation.windows, element)


def linear(operation: Linear, writer: Writer) -> None:
    (given,) = writer.types(operation)
    num_outputs, num_inputs = operation.weight.shape
    image = rows_as_image(writer.source(operation.inputs[0]), num_inputs)
    as_image = TensorType((num_inputs, 1, prod(given.shape[:-1])), given.kind)
    element = Column("place") * size("outputs", num_outputs) + Column("neuron")
    _sums(operation, writer, image, as_image, Windows(kernel=(1, 1)), element)


def _sums(
    operation: Convolution | Linear,
    writer: Writer,
    image: Step,
    given: TensorType,
    windows: Windows,
    element: Expression,
) -> None:
    laid = windowed(image, given, windows, ("channel", "value"))
    made = columns(*_KEYS, product=Column("weight") * Column("value"))
    pairs = Join(laid, writer.constants("kernels", operation), ("tap", "channel"))
    summed = columns(*_KEYS, total=call("sum", "product"))
    sums = step("sums", summed, step("products", made, pairs), group_by=_KEYS)
    rows = Join(sums, writer.constants("offsets", operation), ("neuron",))
    writer.tensor(operation, rows, index(element), Column("total") + Column("bias"))


EMITTERS: Emitters = {Convolution: convolution, Linear: linear}
