"""Operations number by number, on any axes: what changes numbers alone, and what moves them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.intermittent.work import search_work, walk_work
from quantlab.deploy.c.made import unplaced
from quantlab.deploy.c.made_bytes import define_bytes
from quantlab.deploy.c.overlap import Places, place_gap
from quantlab.deploy.c.placed import Order, Placed, channels_last
from quantlab.deploy.c.rows import arrays_of, can_make, define_row
from quantlab.deploy.c.writer import Pointer, Writer, c_type
from quantlab.deploy.emitter import Emitters
from quantlab.errors import UsageError
from quantlab.integer.groups import Group
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
from quantlab.integer.program import Program

AXES = 6  # QL_AXES
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Steps:
    """Where the numbers of a tensor lie: from `start`, so far apart along each axis of a walk."""

    start: int
    axes: Sequence[int]


@dataclass(frozen=True)
class Maker:
    """What is made of each row: a function of rows or of bytes with its constants; by default it is
    copied. move: moves the constants' arrays with the rows, along `arrays`, in the order of their
    fields; NULL where all rows have the same. before: what the row is made of itself, with its
    constants, and the tensor that it is."""

    row: str = "NULL"
    bytes: str = "NULL"
    constants: str = "NULL"
    move: str = "NULL"
    arrays: Sequence[Steps] = ()
    before: tuple[str, str, str] | None = None


def copy(writer: Writer, x: Placed, to: Placed) -> None:
    """Copy a tensor into another order."""
    sizes = [to.axes[axis] for axis in to.order]
    steps = x.steps()
    assert steps is not None
    given = (x, Steps(0, [steps[axis] for axis in to.order]))
    _walk(writer, "copy", sizes, (to, Steps(0, _plain_steps(sizes))), [given])


def _walk(
    writer: Writer,
    name: str,
    sizes: Sequence[int],
    to: tuple[Placed, Steps],
    given: Sequence[tuple[Placed, Steps]],
    maker: Maker = Maker(),
    fixed: Sequence[Steps] = (),
) -> None:
    """Append a walk.

    sizes: of the axes of memory, the outermost first, as all steps have them. given: one tensor or
    two. fixed: steps of constants that do not move with the rows.
    """
    _check(sizes)
    steps = [to[1], *(one for _, one in given), *maker.arrays]
    sizes, steps = merged(sizes, steps, fixed)
    other = given[1][0] if len(given) > 1 else None
    before, before_constants, tensor = maker.before or ("NULL", "NULL", "")
    traced = f"    QL_TENSOR({writer.numbers[tensor]})\n" if tensor else ""
    fields = {
        "size": writer.constants("size", np.array(sizes, np.uint16)),
        "steps": writer.constants("steps", _laid_out(steps)),
        "before": before,
        "before_constants": before_constants,
        "row": maker.row,
        "bytes": maker.bytes,
        "move": maker.move,
        "constants": maker.constants if maker.constants == "NULL" else f"&{maker.constants}",
        "axes": len(sizes),
        "type": c_type(to[0].kind),
        "x_type": c_type(given[0][0].kind),
        "other_type": c_type((other or to[0]).kind),
    }
    found = writer.structure("ql_walk", name, fields, traced)
    writer.runtime |= {"walk_rows", "row_place", "next_row", "load_row", "store_row"}
    # Constants are counted from the begin of the last axis.
    is_counted = len(sizes) == 1 and any(any(one.axes) for one in fixed)
    writer.call(
        "ql_walk_rows",
        f"&{found}",
        Pointer(given[0][0].buffer),
        None if other is None else Pointer(other.buffer),
        Pointer(to[0].buffer, is_written=True),
        over={to[0].buffer: _over(to, given)},
        is_directed=False,
        work=walk_work(sizes, can_begin=maker.move == "NULL" and not is_counted),
    )


def _over(to: tuple[Placed, Steps], given: Sequence[tuple[Placed, Steps]]) -> dict[str, Gap]:
    """Return what the result may lie over: where each number is made of that in its place."""

    def places(x: Placed) -> Places:
        return Places(rows=1, columns=prod(x.axes), size=np.dtype(x.kind.kind.dtype).itemsize)

    other_ways = {x.buffer for x, steps in given if steps != to[1]}
    return {
        x.buffer: replace(place_gap(places(x), places(to[0])), backward=None)
        for x, _ in given
        if x.buffer not in other_ways and to[1].start == 0
    }


def merged(
    sizes: Sequence[int], steps: Sequence[Steps], fixed: Sequence[Steps] = ()
) -> tuple[list[int], list[Steps]]:
    """Return the fewest axes of the same walk, at least one: neighbors are one axis where all steps
    go on from one to the other. fixed: steps that have a say in that alone."""
    every = [*steps, *fixed]
    kept = [axis for axis, size in enumerate(sizes) if size > 1 or axis == len(sizes) - 1]
    columns = [(sizes[axis], [one.axes[axis] for one in every]) for axis in kept] or [
        (1, [0] * len(every))
    ]
    found = columns[-1:]
    for size, outer in reversed(columns[:-1]):
        inner_size, inner = found[0]
        goes_on = all(o == i * inner_size for o, i in zip(outer, inner, strict=True))
        if goes_on and size * inner_size <= _MOST:
            found[0] = (size * inner_size, inner)
        else:
            found.insert(0, (size, outer))
    return [size for size, _ in found], [
        Steps(one.start, [column[place] for _, column in found]) for place, one in enumerate(steps)
    ]


def _laid_out(steps: Sequence[Steps]) -> NDArray[np.uint32]:
    """Return starts and steps as the runtime has them."""
    return np.array([[one.start, *one.axes] for one in steps], np.uint32)


def elementwise(operation: Operation, writer: Writer) -> None:
    """What makes each number of those in its place."""
    kind = writer.program.types[operation.output]
    order = channels_last(kind.shape)
    to = writer.new(operation.output, order)
    given = [_with_steps(writer, name) for name in operation.inputs]
    sizes = [kind.shape[axis] for axis in order]
    arrays = [_constant_steps(one, order) for one in arrays_of(operation, 0, len(order))]
    is_moving = any(any(one.axes[:-1]) for one in arrays)
    maker = _maker(operation, writer, order, arrays, is_moving=is_moving)
    _walk(
        writer,
        "walk",
        sizes,
        (to, Steps(0, _plain_steps(sizes))),
        [(one, Steps(0, _broadcast(one, order))) for one in given],
        maker,
        [] if is_moving else arrays,
    )
    writer.keep(operation.output)


def multiply(group: Group, writer: Writer) -> None:
    """Append the walk of a product of two tensors, with the codes that are made of it if there are
    any: these are stored alone."""
    product = group.operation
    if not group.made:
        elementwise(product, writer)
        return
    made = group.made[0].operation
    kind = writer.program.types[made.output]
    order = channels_last(kind.shape)
    writer.kept[product.output] = unplaced(writer, product.output, order)
    to = writer.new(made.output, order)
    given = [_with_steps(writer, name) for name in product.inputs]
    arrays = [_constant_steps(one, order) for one in arrays_of(made, 0, len(order))]
    function, constants = define_row(writer, product, 0, order, kind.shape)
    maker = _maker(made, writer, order, arrays, is_moving=False)
    sizes = [kind.shape[axis] for axis in order]
    _walk(
        writer,
        "walk",
        sizes,
        (to, Steps(0, _plain_steps(sizes))),
        [(one, Steps(0, _broadcast(one, order))) for one in given],
        replace(maker, before=(function, f"&{constants}", product.output)),
        arrays,
    )
    writer.keep(made.output)


def can_follow(operation: Operation, product: Multiply, program: Program) -> bool:
    """Return whether an operation is made of a product of two tensors in the same walk: nothing
    else reads that, and the constants differ along channels alone."""
    readers = sum(one.inputs.count(product.output) for one in program.operations)
    types = [program.types[name] for name in operation.inputs]
    is_single = readers == len(operation.inputs) == 1 and product.output not in program.outputs
    return is_single and operation.inputs == (product.output,) and can_make(operation, types)


def _maker(
    operation: Operation, writer: Writer, order: Order, arrays: Sequence[Steps], *, is_moving: bool
) -> Maker:
    shape = writer.program.types[operation.output].shape
    if not is_moving:
        channels = shape[order[-1]] if any(any(one.axes) for one in arrays) else 1
        found = define_bytes(writer, operation, np.zeros(channels, np.int32))
        if found is not None:
            function, constants = found
            return Maker(bytes=function, constants=constants)
    row, constants = define_row(writer, operation, 0, order, shape, is_moving=is_moving)
    if not is_moving:
        return Maker(row=row, constants=constants)
    move = "move_threshold" if isinstance(operation, Threshold) else "move_rescale"
    writer.runtime.add(move)
    several = list(arrays)
    if isinstance(operation, Requantize):
        several.insert(1, Steps(0, [0] * len(order)))  # the other multiplier's place
    return Maker(row=row, constants=constants, move=f"ql_{move}", arrays=several)


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
    given = (x, Steps(start, [steps[axis] for axis in order]))
    _walk(writer, "move", sizes, (to, Steps(0, _plain_steps(sizes))), [given])
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
            (to, Steps(start * to_steps[operation.axis], [to_steps[axis] for axis in order])),
            [(x, Steps(0, [steps[axis] for axis in order]))],
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
    sizes = [kind.shape[axis] for axis in order]
    _check(sizes)
    places = [Steps(0, [steps[axis] for axis in order]), Steps(0, _plain_steps(sizes))]
    sizes, (given, _) = merged(sizes, places)
    fields = {
        "size": writer.constants("size", np.array(sizes, np.uint16)),
        "steps": writer.constants("steps", _laid_out([given])),
        "axes": len(sizes),
        "x_type": c_type(x.kind),
        "count": x.kind.shape[operation.axis],
        "step": step,
    }
    found = writer.structure("ql_argmax", "argmax", fields)
    writer.runtime |= {"argmax_all", "row_place", "next_row", "load_row"}
    writer.call(
        "ql_argmax_all",
        f"&{found}",
        Pointer(x.buffer),
        Pointer(to.buffer, is_written=True),
        work=search_work(prod(kind.shape), x.kind.shape[operation.axis]),
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
    plain = zip(sizes, _plain_steps(sizes), strict=True)
    return Steps(0, [0 if size == 1 else step for size, step in plain])


def _plain_steps(sizes: Sequence[int]) -> list[int]:
    return [prod(sizes[place + 1 :]) for place in range(len(sizes))]


def _check(sizes: Sequence[int]) -> None:
    """Raise UsageError for what the runtime cannot walk through."""
    if len(sizes) > AXES:
        raise UsageError(f"C: a tensor of {len(sizes)} axes given, at most {AXES} allowed")
    if sizes and max(sizes) > _MOST:
        raise UsageError(f"C: an axis of {max(sizes)} given, at most {_MOST} allowed")


EMITTERS: Emitters = {
    **dict.fromkeys((Add, Lookup, Multiply, Requantize, Threshold), elementwise),
    ArgMax: arg_max,
    Concatenate: concatenate,
    Permute: permute,
    Reshape: reshape,
    Slice: slice_,
}
