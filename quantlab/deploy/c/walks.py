"""Operations number by number, on any axes: what changes numbers alone, and what moves them."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.placed import Order, Placed, channels_last
from quantlab.deploy.c.rows import arrays_of, define_row
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Pointer, Writer, c_type
from quantlab.deploy.emitter import Emitters
from quantlab.errors import UsageError
from quantlab.integer.operations import (
    Add,
    ArgMax,
    Concatenate,
    Lookup,
    Multiply,
    Operation,
    Permute,
    Requantize,
    Reshape,
    Slice,
    Threshold,
)

AXES = 6  # QL_AXES
Steps = tuple[int, Sequence[int]]


def copy(writer: Writer, x: Placed, to: Placed) -> None:
    """Copy a tensor into another order."""
    sizes = [to.axes[axis] for axis in to.order]
    steps = x.steps()
    assert steps is not None
    _walk(writer, "copy", sizes, x, (0, [steps[axis] for axis in to.order]), to, None)


def _walk(
    writer: Writer,
    name: str,
    sizes: Sequence[int],
    x: Placed,
    x_steps: Steps,
    to: Placed,
    to_steps: Steps | None,
    other: tuple[Placed, Steps] | None = None,
    function: tuple[str, str, str] | None = None,
    arrays: Sequence[Steps] = (),
) -> None:
    """sizes: of the axes of memory, the outermost first, as all steps have them. function: its
    name, its constants and what of these moves."""
    row, constants, moving = function or ("NULL", "NULL", "QL_FIXED")
    fields = {
        "size": braces(_padded(sizes, 1)),
        "type": c_type(to.kind),
        "x_type": c_type(x.kind),
        "other_type": "QL_U8" if other is None else c_type(other[0].kind),
        "moving": moving,
        "to": _steps(to_steps or (0, _plain_steps(sizes))),
        "x": _steps(x_steps),
        "other": _steps((0, [0] * len(sizes)) if other is None else other[1]),
        "arrays": braces([_steps(one) for one in arrays or [(0, [])]]),
        "function": row,
        "constants": constants if constants == "NULL" else f"&{constants}",
    }
    found = writer.structure("ql_walk", name, fields)
    writer.runtime |= {"walk_rows", "load_row", "store_row"}
    writer.call(
        "ql_walk_rows",
        f"&{found}",
        Pointer(x.buffer),
        None if other is None else Pointer(other[0].buffer),
        Pointer(to.buffer, is_written=True),
    )


def elementwise(operation: Operation, writer: Writer) -> None:
    """What makes each number of those in its place."""
    kind = writer.program.types[operation.output]
    order = channels_last(kind.shape)
    to = writer.new(operation.output, order)
    given = [_with_steps(writer, name) for name in operation.inputs]
    steps = [(0, _broadcast(one, order)) for one in given]
    row = define_row(writer, operation, 0, order, kind.shape)
    arrays = [_constant_steps(one, order) for one in arrays_of(operation, 0, len(order))]
    if isinstance(operation, Requantize):
        arrays.insert(1, (0, []))  # the other multiplier's place in the runtime
    moving = {Requantize: "QL_RESCALING", Add: "QL_RESCALING", Threshold: "QL_COUNTING"}
    _walk(
        writer,
        "walk",
        [kind.shape[axis] for axis in order],
        given[0],
        steps[0],
        to,
        None,
        (given[1], steps[1]) if len(given) > 1 else None,
        (*row, moving.get(type(operation), "QL_FIXED")),
        arrays,
    )
    writer.keep(operation.output)


def reshape(operation: Reshape, writer: Writer) -> None:
    """The same memory."""
    (name,) = operation.inputs
    kind = writer.program.types[operation.output]
    writer.placed[operation.output] = replace(writer.placed[name], kind=kind)
    writer.keep(operation.output)


def permute(operation: Permute, writer: Writer) -> None:
    x = _with_steps(writer, operation.inputs[0])
    _moved(operation, writer, x, [(x.steps() or ())[axis] for axis in operation.axes], 0)


def slice_(operation: Slice, writer: Writer) -> None:
    x = _with_steps(writer, operation.inputs[0])
    steps = list(x.steps() or ())
    start = operation.start * steps[operation.axis]
    steps[operation.axis] *= operation.step
    _moved(operation, writer, x, steps, start)


def _moved(
    operation: Operation, writer: Writer, x: Placed, steps: Sequence[int], start: int
) -> None:
    """Write what lies at these steps from `start` of `x`, one an axis of the result."""
    kind = writer.program.types[operation.output]
    order = channels_last(kind.shape)
    to = writer.new(operation.output, order)
    sizes = [kind.shape[axis] for axis in order]
    _walk(writer, "move", sizes, x, (start, [steps[axis] for axis in order]), to, None)
    writer.keep(operation.output)


def concatenate(operation: Concatenate, writer: Writer) -> None:
    kind = writer.program.types[operation.output]
    order = channels_last(kind.shape)
    to = writer.new(operation.output, order)
    to_steps = to.steps() or ()
    start = 0
    for name in operation.inputs:
        x = _with_steps(writer, name)
        steps, shape = x.steps() or (), x.kind.shape
        _walk(
            writer,
            "part",
            [shape[axis] for axis in order],
            x,
            (0, [steps[axis] for axis in order]),
            to,
            (start * to_steps[operation.axis], [to_steps[axis] for axis in order]),
        )
        start += shape[operation.axis]
    writer.keep(operation.output)


def arg_max(operation: ArgMax, writer: Writer) -> None:
    x = _with_steps(writer, operation.inputs[0])
    steps = list(x.steps() or ())
    kind = writer.program.types[operation.output]
    order = channels_last(kind.shape)
    to = writer.new(operation.output, order)
    step = steps.pop(operation.axis)
    sizes = _padded([kind.shape[axis] for axis in order], 1)
    fields = {
        "size": braces(sizes),
        "x_type": c_type(x.kind),
        "x": _steps((0, [steps[axis] for axis in order])),
        "count": x.kind.shape[operation.axis],
        "step": step,
    }
    found = writer.structure("ql_argmax", "argmax", fields)
    writer.runtime |= {"argmax_all", "load_row"}
    writer.call(
        "ql_argmax_all", f"&{found}", Pointer(x.buffer), Pointer(to.buffer, is_written=True)
    )
    writer.keep(operation.output)


def _with_steps(writer: Writer, name: str) -> Placed:
    """Return a tensor whose axes have steps."""
    found = writer.placed[name]
    return found if found.steps() is not None else writer.ordered(name)


def _broadcast(x: Placed, order: Order) -> list[int]:
    """Return the steps of the axes in an order; 0 along those where one number serves all."""
    steps = x.steps() or ()
    return [0 if x.kind.shape[axis] == 1 else steps[axis] for axis in order]


def _constant_steps(values: NDArray[Any], order: Order) -> Steps:
    """Return the steps of an array that `rows.laid_out` has made of a constant."""
    full = (1,) * (len(order) - values.ndim) + values.shape
    sizes = [full[axis] for axis in order]
    return 0, [
        0 if size == 1 else step for size, step in zip(sizes, _plain_steps(sizes), strict=True)
    ]


def _plain_steps(sizes: Sequence[int]) -> list[int]:
    return [prod(sizes[place + 1 :]) for place in range(len(sizes))]


def _padded(values: Sequence[int], filler: int) -> list[int]:
    if len(values) > AXES:
        raise UsageError(f"C: a tensor of {len(values)} axes given, at most {AXES} allowed")
    if values and max(values) > np.iinfo(np.uint16).max and filler:
        raise UsageError(f"C: an axis of {max(values)} given, at most 65535 allowed")
    return [filler] * (AXES - len(values)) + list(values)


def _steps(steps: Steps) -> str:
    start, each = steps
    return braces([start, braces(_padded(list(each), 0))])


EMITTERS: Emitters = {
    **dict.fromkeys((Add, Lookup, Multiply, Requantize, Threshold), elementwise),
    ArgMax: arg_max,
    Concatenate: concatenate,
    Permute: permute,
    Reshape: reshape,
    Slice: slice_,
}
