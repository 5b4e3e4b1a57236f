"""What makes a row of numbers of another row: functions of the runtime, and their constants."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.compact import compact
from quantlab.deploy.c.placed import Order
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Writer
from quantlab.integer.operations import Lookup, Multiply, Operation, Requantize, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import S8, U8, TensorType


def define_compact(
    writer: Writer, operation: Operation, bias: NDArray[np.int32]
) -> tuple[str, str] | None:
    """Define the constants of what makes bytes of a layer's sums without their bias, eight bytes a
    channel; return the names of its function and of them. None for another operation than a
    requantization to bytes, and where that would give other codes."""
    if not isinstance(operation, Requantize) or operation.kind not in (U8, S8):
        return None
    found = compact(operation, bias, writer.program.bounds[operation.inputs[0]])
    if found is None:
        return None
    fields = {
        "words": writer.shared_constants("words", found.words),
        "offsets": writer.shared_constants("offsets", found.offsets),
        "low": operation.low,
        "span": operation.high - operation.low,
        "doublings": found.doublings,
    }
    writer.runtime.add("compact_bytes")
    return "ql_compact_bytes", writer.structure("ql_compact", "rule", fields)


def without_bias(operation: Operation, side: int, bias: NDArray[np.int32]) -> Operation | None:
    """Return what makes of sums that lack their bias the same numbers; None if that cannot be.

    bias: of the input numbered `side`, in a shape that broadcasts against it.
    """
    match operation:
        case Rescale():
            offset = operation.offset + operation.multipliers[side].astype(object) * bias
            if max(abs(offset.min()), abs(offset.max())) >= 2**63:
                return None
            return replace(operation, offset=offset.astype(np.int64))
        case Threshold():
            channels, bias = bias.size, bias.reshape(-1)
            signs = np.broadcast_to(operation.signs, channels)
            thresholds = np.broadcast_to(
                operation.thresholds, (channels, operation.thresholds.shape[1])
            )
            moved = thresholds - (signs.astype(np.int64) * bias)[:, None]
            return replace(operation, thresholds=moved, signs=signs.copy())
        case _:
            return None


def define_row(
    writer: Writer, operation: Operation, side: int, order: Order, shape: Sequence[int]
) -> tuple[str, str]:
    """Define the constants of an operation; return the names of its function and of them.

    side: which input is x; the other one is `other`. order, shape: of the result. Rows lie along
    the last axis of memory.
    """
    arrays = [laid_out(one, order, shape) for one in arrays_of(operation, side, len(shape))]
    steps = [0 if one.shape[-1] == 1 else 1 for one in arrays] if order else [0] * len(arrays)
    match operation:
        case Rescale():
            names = ["multiplier", "other_multiplier", "offset", "shift"]
            if len(operation.inputs) == 1:
                names.remove("other_multiplier")
            fields: dict[str, Any] = {
                name: braces([writer.constants(name, one), step])
                for name, one, step in zip(names, arrays, steps, strict=True)
            }
            fields |= {"low": _number(operation.low), "high": _number(operation.high)}
            is_high = operation.shift.min() >= 32
            function, kind = f"rescale{'_high' if is_high else ''}_row", "ql_rescale"
        case Threshold():
            fields = {
                "thresholds": braces(
                    [writer.constants("thresholds", operation.thresholds), steps[0]]
                ),
                "sign": braces([writer.constants("sign", arrays[1]), steps[1]]),
                "low": operation.low,
                "step": operation.step,
                "levels": operation.thresholds.shape[1],
            }
            function, kind = "threshold_row", "ql_threshold"
        case Lookup():
            given = writer.program.types[operation.inputs[0]]
            fields = {
                "table": writer.constants("table", operation.table),
                "lowest": given.kind.minimum,
            }
            function, kind = "lookup_row", "ql_lookup"
        case Multiply():
            fields = {"left_zero": operation.left_zero, "right_zero": operation.right_zero}
            function, kind = "multiply_row", "ql_multiply"
        case _:
            raise TypeError(f"{type(operation).__name__}: has no row in quantlab.deploy.c.rows")
    writer.runtime.add(function)
    return f"ql_{function}", writer.structure(kind, "rule", fields)


def arrays_of(operation: Operation, side: int, num_axes: int) -> list[NDArray[Any]]:
    """Return the constants that may differ from place to place, in the order of the runtime's
    fields, each in a shape that broadcasts against the result, which has `num_axes`. Of thresholds
    the signs stand for both."""
    if isinstance(operation, Rescale):
        multipliers = list(operation.multipliers)
        multipliers.insert(0, multipliers.pop(side))
        return [*multipliers, operation.offset, operation.shift.astype(np.uint8)]
    if isinstance(operation, Threshold):
        signs = operation.signs.reshape(-1, *[1] * (num_axes - 1))
        return [signs, signs]
    return []


def laid_out(values: NDArray[Any], order: Order, shape: Sequence[int]) -> NDArray[Any]:
    """Return a constant with its axes in the order of memory."""
    full = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    return np.ascontiguousarray(full.transpose(order))


def can_make(operation: Operation, types: Sequence[TensorType]) -> bool:
    """Return whether an operation can be done row by row with a layer's sums: its constants differ
    along the rows alone, and its inputs have one shape."""
    shape = types[0].shape
    if isinstance(operation, Lookup):
        return True
    if isinstance(operation, Threshold):
        return len(shape) in (1, 3) or len(operation.thresholds) == 1
    if not isinstance(operation, Rescale) or any(given.shape != shape for given in types):
        return False
    channel = 0 if len(shape) == 3 else len(shape) - 1
    for one in arrays_of(operation, 0, len(shape)):
        full = (1,) * (len(shape) - one.ndim) + one.shape
        if any(size > 1 for axis, size in enumerate(full) if axis != channel):
            return False
    return True


def _number(value: int) -> str:
    return "INT32_MIN" if value == -(2**31) else str(value)
