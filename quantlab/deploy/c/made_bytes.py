"""What makes bytes of a row of numbers: functions of the runtime, and their constants.

All of them take at most eight bytes a channel; those of a table only what can come.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.coarse import coarse
from quantlab.deploy.c.compact import compact
from quantlab.deploy.c.narrow import narrow
from quantlab.deploy.c.rows import defined, levels_of, without_bias
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.thresholds import counted
from quantlab.deploy.c.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Lookup, Operation, Requantize, Threshold
from quantlab.integer.tensor_type import S8, U8


def define_bytes(
    writer: Writer, operation: Operation, bias: NDArray[np.int32]
) -> tuple[str, str] | None:
    """Define the constants of what makes bytes of numbers without their bias; return the names of
    its function and of them. None for what gives no bytes, or is made of two tensors, and where
    eight bytes a channel would give other codes.

    bias: `[C]`, of one channel where none has constants of its own.
    """
    if len(operation.inputs) > 1 or writer.program.types[operation.output].kind not in (U8, S8):
        return None
    bound = writer.program.bounds[operation.inputs[0]]
    if bias.size == 1:
        bound = Bound(low=np.array([bound.lowest], object), high=np.array([bound.highest], object))
    match operation:
        case Requantize():
            found = (
                _narrow_bytes(writer, operation, bias)
                or _compact_bytes(writer, operation, bias, bound)
                or _coarse_bytes(writer, operation, bias, bound)
            )
        case Threshold():
            found = _threshold_bytes(writer, operation, bias, bound)
        case Lookup():
            found = _lookup_bytes(writer, operation, bound)
        case _:
            found = None
    return found


def _narrow_bytes(
    writer: Writer, operation: Requantize, bias: NDArray[np.int32]
) -> tuple[str, str] | None:
    flat = replace(
        operation,
        multiplier=operation.multiplier.reshape(-1),
        offset=operation.offset.reshape(-1),
        shift=operation.shift.reshape(-1),
    )
    moved = without_bias(flat, 0, bias)
    if not isinstance(moved, Requantize):
        return None
    found = narrow(moved, 0, writer.program.bounds[operation.output])
    if found is None:
        return None
    fields = {
        "words": writer.shared_constants("words", found.words),
        "offsets": writer.shared_constants("offsets", found.offsets),
        "low": operation.low,
        "high": operation.high,
    }
    return defined(writer, "narrow_bytes", "ql_narrow", fields)


def _compact_bytes(
    writer: Writer, operation: Requantize, bias: NDArray[np.int32], bound: Bound
) -> tuple[str, str] | None:
    found = compact(operation, bias, bound)
    if found is None:
        return None
    fields = {
        "words": writer.shared_constants("words", found.words),
        "offsets": writer.shared_constants("offsets", found.offsets),
        "low": operation.low,
        "span": operation.high - operation.low,
        "doublings": found.doublings,
    }
    return defined(writer, "compact_bytes", "ql_compact", fields)


def _coarse_bytes(
    writer: Writer, operation: Requantize, bias: NDArray[np.int32], bound: Bound
) -> tuple[str, str] | None:
    found = coarse(operation, bias, bound)
    if found is None:
        return None
    fields = {
        "multipliers": writer.shared_constants("multipliers", found.multipliers),
        "offsets": writer.shared_constants("offsets", found.offsets),
        "unit": found.unit,
        "low": operation.low,
        "high": operation.high,
        "shift": found.shift,
    }
    return defined(writer, "coarse_bytes", "ql_coarse", fields)


def _threshold_bytes(
    writer: Writer, operation: Threshold, bias: NDArray[np.int32], bound: Bound
) -> tuple[str, str] | None:
    found = counted(operation, bias, bound)
    names = {2: "threshold_s16_bytes", 4: "threshold_s32_bytes"}
    if found.thresholds.itemsize not in names:
        return None
    fields = {
        "thresholds": braces(
            [writer.constants("thresholds", found.thresholds), int(len(found.thresholds) > 1)]
        ),
        "inverted": writer.shared_constants("inverted", found.inverted),
        **levels_of(operation),
    }
    return defined(writer, names[found.thresholds.itemsize], "ql_threshold", fields)


def _lookup_bytes(writer: Writer, operation: Lookup, bound: Bound) -> tuple[str, str]:
    """Only the codes that can come have a place in the table."""
    begin = bound.lowest - writer.program.types[operation.inputs[0]].kind.minimum
    table = operation.table[begin : begin + bound.highest - bound.lowest + 1]
    fields = {
        "table": writer.constants("table", table.astype(np.uint8)),
        "lowest": bound.lowest,
    }
    return defined(writer, "lookup_bytes", "ql_byte_lookup", fields)
