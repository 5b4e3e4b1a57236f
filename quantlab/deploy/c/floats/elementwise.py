"""Functions of elements at any places, and copies."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from quantlab.deploy.c.arena import Gap
from quantlab.deploy.c.call import Argument
from quantlab.deploy.c.floats.loops import AXES, Loops, loops_of
from quantlab.deploy.c.floats.writer import IN_PLACE, FloatWriter, read, written
from quantlab.deploy.c.text import braces
from quantlab.floats.operations import Elementwise, Places


def elementwise(operation: Elementwise, writer: FloatWriter) -> None:
    """Append the calls of a function of elements: of rows that lie in loops, or of what is gathered
    first."""
    to, places, others = operation.to_places, operation.places, operation.other_places
    loops = loops_of(to, places, places if others is None else others)
    if loops is None and operation.function.name == "copy":
        _move(writer, operation.input, places, operation.output, to)
        return
    other: Any = operation.other
    if operation.constant is not None:
        other = operation.constant
    if loops is None:
        # In order first, then the function.
        x = _gathered(writer, operation.input, places)
        places = np.arange(len(to))
        if others is not None and operation.constant is not None:
            other, others = operation.constant[others], places
        elif others is not None:
            other, others = _gathered(writer, other, others), places
        loops = loops_of(to, places, places if others is None else others)
        assert loops is not None  # places of outputs have an order
    else:
        x = operation.input
    over = {x: IN_PLACE} if np.array_equal(to, places) else {}
    if isinstance(other, str) and others is not None and np.array_equal(to, others):
        over[other] = IN_PLACE
    _walk(writer, operation, loops, x, other, {operation.output: over})


def _walk(
    writer: FloatWriter,
    operation: Elementwise,
    loops: Loops,
    x: str,
    other: Any,
    over: Mapping[str, Mapping[str, Gap]],
) -> None:
    name = writer.function(operation.function.name)
    constants = writer.numbers("constants", operation.function.constants)
    to_start, x_start, other_start = loops.starts
    array = ""
    if isinstance(other, np.ndarray):
        array = writer.constants("other", np.ascontiguousarray(other, np.float32).reshape(-1))
    if len(loops.sizes) <= 1:
        size = loops.sizes[0] if loops.sizes else 1
        to_step, x_step, other_step = (steps[0] if steps else 0 for steps in loops.steps)
        given: Any = f"{array} + {other_start}" if array else read(other or x, other_start)
        arguments: list[Argument] = [
            *(constants, read(x, x_start), str(x_step), given, str(other_step)),
            *(written(operation.output, to_start), str(to_step), str(size)),
        ]
        writer.call(name, *arguments, over=over)
        return
    fields = {
        "size": braces([*[1] * (AXES - len(loops.sizes)), *loops.sizes]),
        "to": _steps(loops, 0),
        "x": _steps(loops, 1),
        "other": _steps(loops, 2),
        "function": name,
        "constants": constants,
    }
    walk = writer.structure("ql_float_walk", "walk", fields)
    writer.runtime |= {"float_run_walk"}
    given = array or read(other or x)
    to = written(operation.output)
    writer.call("ql_float_run_walk", f"&{walk}", read(x), given, to, over=over)


def _steps(loops: Loops, sequence: int) -> str:
    steps = loops.steps[sequence]
    return braces([loops.starts[sequence], braces([*[0] * (AXES - len(steps)), *steps])])


def _gathered(writer: FloatWriter, x: str, places: Places) -> str:
    """Return a buffer of the numbers at some places of another."""
    to = writer.temporary(len(places))
    _move(writer, x, places, to, np.arange(len(places)))
    return to


def _move(writer: FloatWriter, x: str, places: Places, to: str, to_places: Places) -> None:
    """Copy numbers one by one, by tables."""
    writer.runtime |= {"float_move"}
    tables = [
        writer.constants(name, one.astype(np.uint32))
        for name, one in (("places", places), ("to_places", to_places))
    ]
    writer.call("ql_float_move", tables[0], read(x), tables[1], written(to), str(len(places)))
