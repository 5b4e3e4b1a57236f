"""From one scale to another: by multipliers, comparisons or a table; and the largest of all."""

import numpy as np

from quantlab.deploy.emitter import Emitters
from quantlab.deploy.onnx.qdq.thresholds import rounded_range
from quantlab.deploy.onnx.qdq.writer import (
    SAME_FACTOR,
    SAME_OFFSET,
    THEMSELVES,
    Writer,
    before_rounding,
    ratio,
)
from quantlab.integer.operations import ArgMax, Lookup, Threshold
from quantlab.integer.operations.rescale import Rescale


def rescale(operation: Rescale, writer: Writer) -> None:
    grid, total = writer.grid(operation.output), ""
    scales, constant = before_rounding(operation, grid)
    for name, scale in zip(operation.inputs, scales, strict=True):
        part, given = writer.floats[name], writer.readings[name]
        off = np.abs(scale - given.scale)
        most = np.maximum(
            SAME_FACTOR * np.abs(scale), SAME_OFFSET * grid.scale / writer.reach(name)
        )
        factor = np.array(1.0)
        if not (off <= most).all():
            factor = ratio(scale, given.scale)
            part = writer.graph.node("Mul", part, writer.number(factor))
        constant = constant - factor * given.offset
        total = writer.graph.node("Add", total, part) if total else part
    if (np.abs(constant) > SAME_OFFSET * grid.scale).any():
        total = writer.graph.node("Add", total, writer.number(constant))
    total = writer.clip(operation.output, total, operation.low, operation.high)
    writer.quantize(operation.output, total)


def threshold(operation: Threshold, writer: Writer) -> None:
    """Rounded where that gives the same codes, else compared."""
    (name,) = operation.inputs
    x, given, grid = writer.floats[name], writer.readings[name], writer.grid(operation.output)
    num_axes, reach = len(writer.program.types[name].shape), writer.reach(name)
    for reading in (given, writer.program.rounded.get(operation.output, given)):
        ends = rounded_range(operation, reading, grid, num_axes=num_axes, reach=reach)
        if ends is not None:
            x = writer.clip(operation.output, writer.converted(name, reading), *ends)
            writer.quantize(operation.output, x)
            return
    axes = (-1,) + (1,) * (num_axes - 1)
    signs = operation.signs.reshape(axes)
    is_falling = signs * given.scale < 0
    if is_falling.any():
        x = writer.graph.node("Mul", x, writer.number(np.where(is_falling, -1.0, 1.0)))
    code, level = np.array(operation.low), writer.number(grid(np.array(operation.low)))
    for threshold in operation.thresholds.T:
        # Half a step below the threshold, where no integer lies.
        least = given(signs * (threshold.reshape(axes) - 0.5)) * np.where(is_falling, -1.0, 1.0)
        is_reached = writer.graph.node("GreaterOrEqual", x, writer.number(least))
        code = code + operation.step
        level = writer.graph.node("Where", is_reached, writer.number(grid(code)), level)
    writer.quantize(operation.output, level)


def lookup(operation: Lookup, writer: Writer) -> None:
    (name,) = operation.inputs
    index = writer.graph.cast(writer.codes[name], np.int32)
    least = writer.program.types[name].kind.minimum
    if least:
        index = writer.graph.node("Sub", index, writer.graph.number(least, np.int32))
    reals = writer.grid(operation.output)(operation.table)
    table = writer.graph.constant(f"{operation.output}.table", reals, np.float32)
    writer.quantize(operation.output, writer.graph.node("Gather", table, index, axis=0))


def argmax(operation: ArgMax, writer: Writer) -> None:
    x, _ = writer.even(operation.inputs[0])
    found = writer.graph.node("ArgMax", x, axis=operation.axis + 1, keepdims=0)
    name = writer.name(operation.output, THEMSELVES)
    floats = writer.graph.cast(found, np.float32, to=name)
    writer.keep(operation.output, floats, THEMSELVES)


EMITTERS: Emitters = {
    Rescale: rescale,
    Threshold: threshold,
    Lookup: lookup,
    ArgMax: argmax,
}
