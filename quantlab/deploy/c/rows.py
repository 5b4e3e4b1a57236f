"""What makes a row of numbers of another row: functions of the runtime, and their constants."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.coarse_sum import coarse_sum
from quantlab.deploy.c.narrow import narrow
from quantlab.deploy.c.placed import Order
from quantlab.deploy.c.text import braces
from quantlab.deploy.c.writer import Writer
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Add, Lookup, Multiply, Operation, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType


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


def grows_by_bias(operation: Operation, side: int, program: Program) -> bool:
    """Return whether one offset of 64 bits for all would become one for each channel."""
    return (
        isinstance(operation, Rescale)
        and (len(operation.inputs) > 1 or program.types[operation.output].kind not in (U8, S8))
        and _is_one(operation.offset)
        and narrow(operation, side, program.bounds[operation.output]) is None
    )


def _is_one(values: NDArray[Any]) -> bool:
    """Return whether all elements are equal."""
    return bool((values == values.flat[0]).all())


def define_row(
    writer: Writer,
    operation: Operation,
    side: int,
    order: Order,
    shape: Sequence[int],
    *,
    bias: NDArray[np.int32] | None = None,
    is_moving: bool = False,
) -> tuple[str, str]:
    """Define the constants of an operation; return the names of its function and of them.

    side: which input is x; the other one is `other`. order, shape: of the result. Rows lie along
    the last axis of memory. bias: of each element of a row, that x lacks; None: it lacks none.
    is_moving: whether the constants differ along others too.
    """
    if isinstance(operation, Add) and not is_moving:
        found = _coarse_sum(writer, operation, side, bias, shape)
        if found is not None:
            return found
    if bias is not None:
        shaped = bias[:, None, None] if len(shape) == 3 else bias
        moved = without_bias(operation, side, shaped)
        assert moved is not None
        operation = moved

    def constants(name: str, values: NDArray[Any]) -> str:
        """Return an array in the order of memory, and its step along a row: one element where all
        rows have the same of it."""
        found = laid_out(values, order, shape)
        if not is_moving and _is_one(found):
            found = found.reshape(-1)[:1]
            return braces([writer.constants(name, found), 0])
        return braces([writer.constants(name, found), int(bool(order) and found.shape[-1] > 1)])

    bound = writer.program.bounds[operation.output]
    match operation:
        case Rescale():
            limits = {"low": _number(operation.low), "high": _number(operation.high)}
            small = None if is_moving else narrow(operation, side, bound)
            if small is not None:
                fields: dict[str, Any] = {
                    "words": constants("words", small.words),
                    "offsets": constants("offsets", small.offsets),
                    **limits,
                    "fine": small.fine,
                    "fine_shift": small.fine_shift,
                }
                has_other = len(operation.inputs) == 2
                function = "narrow_sum_row" if has_other else "narrow_row"
                return defined(writer, function, "ql_narrow", fields)
            names = ["multiplier", "other_multiplier", "offset", "shift"]
            if len(operation.inputs) == 1:
                names.remove("other_multiplier")
            arrays = arrays_of(operation, side, len(shape))
            fields = {name: constants(name, one) for name, one in zip(names, arrays, strict=True)}
            is_high = operation.shift.min() >= 32
            function = f"rescale{'_high' if is_high else ''}_row"
            return defined(writer, function, "ql_rescale", fields | limits)
        case Threshold():
            inverted = -(operation.signs < 0).astype(np.int8)
            wide = operation.thresholds.clip(-(2**62), 2**62) + inverted[:, None].astype(np.int64)
            step = int(len(wide) > 1 and not is_moving)
            fields = {
                "thresholds": braces([writer.constants("thresholds", wide), step]),
                "inverted": braces([writer.constants("inverted", inverted), step]),
                **levels_of(operation),
            }
            return defined(writer, "threshold_row", "ql_threshold", fields)
        case Lookup():
            fields = {
                "table": writer.constants("table", operation.table),
                "lowest": writer.program.types[operation.inputs[0]].kind.minimum,
            }
            return defined(writer, "lookup_row", "ql_lookup", fields)
        case Multiply():
            fields = {"left_zero": operation.left_zero, "right_zero": operation.right_zero}
            return defined(writer, "multiply_row", "ql_multiply", fields)
        case _:
            raise TypeError(f"{type(operation).__name__}: has no row in quantlab.deploy.c.rows")


def _coarse_sum(
    writer: Writer,
    operation: Add,
    side: int,
    bias: NDArray[np.int32] | None,
    shape: Sequence[int],
) -> tuple[str, str] | None:
    """Define a sum to bytes in eight bytes a channel; None where it does not have the same codes,
    or fits in 32 bits."""
    bounds = writer.program.bounds
    types = [writer.program.types[name] for name in operation.inputs]
    is_narrow = bounds[operation.output].num_bits <= 32
    if is_narrow or operation.kind not in (U8, S8) or not can_make(operation, types):
        return None
    x, other = operation.inputs[side], operation.inputs[1 - side]
    given = bounds[x]
    if bias is None:
        is_one = all(values.size == 1 for values in arrays_of(operation, side, len(shape)))
        if is_one:  # A walk may take such rows as one, so that its channels cannot be told apart.
            given = Bound(
                low=np.array([given.lowest], object), high=np.array([given.highest], object)
            )
        count = 1 if is_one else shape[0] if len(shape) == 3 else shape[-1]
        bias = np.zeros(count, np.int32)
    found = coarse_sum(operation, side, bias, (given, bounds[other]))
    if found is None:
        return None
    fields = {
        "multipliers": writer.shared_constants("multipliers", found.multipliers),
        "offsets": writer.shared_constants("offsets", found.offsets),
        "unit": found.unit,
        "other_multiplier": found.other_multiplier,
        "low": operation.low,
        "high": operation.high,
        "shift": found.shift,
        "doublings": found.doublings,
    }
    return defined(writer, "coarse_sum_row", "ql_coarse", fields)


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


def levels_of(operation: Threshold) -> dict[str, int]:
    """Return what is made of how many thresholds are reached. The first step of the search is the
    largest power of two that there are as many of."""
    levels = operation.thresholds.shape[1]
    return {
        "low": operation.low,
        "step": operation.step,
        "levels": levels,
        "first_step": 1 << (levels.bit_length() - 1) if levels else 0,
    }


def defined(writer: Writer, function: str, kind: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Define the constants of a function of the runtime; return the names of both."""
    writer.runtime.add(function)
    return f"ql_{function}", writer.structure(kind, "rule", fields)
