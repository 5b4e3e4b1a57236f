"""From one scale to another: by multipliers, comparisons or a table; and the largest of all."""

from collections.abc import Sequence

import numpy as np

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.exact.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import ArgMax, Lookup, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S32


def rescale(operation: Rescale, writer: Writer) -> None:
    graph, output = writer.graph, operation.output
    total = graph.constant(f"{output}.offset", operation.offset, np.int64)
    for x, name, multiplier in zip(
        operation.inputs, operation.multiplier_names, operation.multipliers, strict=True
    ):
        factor = graph.constant(f"{output}.{name}", multiplier, np.int64)
        total = graph.node("Add", graph.node("Mul", graph.cast(x, np.int64), factor), total)
    divisor = graph.constant(
        f"{output}.divisor", np.left_shift(np.int64(1), operation.shift), np.int64
    )
    whole = graph.node("Sub", total, graph.node("Mod", total, divisor))
    quotient = graph.node("Div", whole, divisor)
    low, high = _quotient_ends(operation, writer.bounds(operation))
    if low < S32.minimum or high > S32.maximum:
        for limit, is_beyond in ((operation.low, "Less"), (operation.high, "Greater")):
            end = graph.number(limit)
            beyond = graph.node(is_beyond, quotient, end)
            quotient = graph.node("Where", beyond, end, quotient)
    narrow = graph.cast(quotient, np.int32)
    ends = (graph.number(end, np.int32) for end in (operation.low, operation.high))
    clipped = graph.node("Clip", narrow, *ends)
    graph.cast(clipped, operation.kind.dtype, to=output)


def _quotient_ends(operation: Rescale, bounds: Sequence[Bound]) -> tuple[int, int]:
    """Return what lies between before it is clamped."""
    low = high = operation.offset.astype(np.float64)
    for bound, multiplier in zip(bounds, operation.multipliers, strict=True):
        ends = [multiplier * float(end) for end in (bound.lowest, bound.highest)]
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    scale = np.ldexp(1.0, -operation.shift)
    return int(np.floor((low * scale).min())) - 1, int(np.ceil((high * scale).max())) + 1


def threshold(operation: Threshold, writer: Writer) -> None:
    graph, output = writer.graph, operation.output
    (given,) = writer.types(operation)
    axes = (-1,) + (1,) * (len(given.shape) - 1)
    signs = graph.constant(f"{output}.signs", operation.signs.reshape(axes), np.int64)
    x = graph.node("Mul", graph.cast(operation.inputs[0], np.int64), signs)
    total = graph.number(operation.low, np.int32)
    for number, thresholds in enumerate(operation.thresholds.T):
        name = f"{output}.thresholds.{number}"
        least = graph.constant(name, thresholds.reshape(axes), np.int64)
        is_reached = graph.cast(graph.node("GreaterOrEqual", x, least), np.int32)
        step = graph.node("Mul", is_reached, graph.number(operation.step, np.int32))
        total = graph.node("Add", total, step)
    graph.cast(total, operation.kind.dtype, to=output)


def lookup(operation: Lookup, writer: Writer) -> None:
    graph = writer.graph
    (given,) = writer.types(operation)
    wide = graph.cast(operation.inputs[0], np.int32)
    index = graph.node("Sub", wide, graph.number(given.kind.minimum, np.int32))
    table = graph.constant(f"{operation.output}.table", operation.table, operation.kind.dtype)
    graph.node("Gather", table, index, to=operation.output, axis=0)


def argmax(operation: ArgMax, writer: Writer) -> None:
    graph = writer.graph
    x = graph.cast(operation.inputs[0], np.int32)
    largest = graph.node("ArgMax", x, axis=operation.axis + 1, keepdims=0)
    graph.cast(largest, np.int32, to=operation.output)


EMITTERS: Emitters = {
    Rescale: rescale,
    Threshold: threshold,
    Lookup: lookup,
    ArgMax: argmax,
}
