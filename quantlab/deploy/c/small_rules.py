"""What little code makes of the sums of a layer: a multiplier and an offset of each output.

Bytes take 4 bytes of constants an output where integers of 16 bits give the program's codes, else
8. Of sums that are doubled, so that only high words count,

    y = clamp((multiplier * sum + other_multiplier * other + offset * unit) >> shift, low, high)

with one unit and one shift, of 32 or more, for all outputs. Whether that gives the code of the
program for all that can come is decided exactly: see `coarse` and `coarse_sum`. Where nothing does,
the constants of the program take 20. Integers of 32 bits take 12 bytes an output: a multiplier and
an offset of 64 bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.channel import Channel, channels_of
from quantlab.deploy.c.coarse import choices_of, in_units, scaled
from quantlab.deploy.c.coarse_sum import CoarseSum, coarse_sum
from quantlab.integer.groups import Made
from quantlab.integer.operations import Add, Requantize
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S32, U8

_BYTES = (U8, S8)
_WORD = 32
_SHORT, _LONG = 15, 31
_SHIFTS = range(62, -32, -1)
_LOW = 2**_WORD - 1
_BEYOND = 2**62


@dataclass(frozen=True, kw_only=True, eq=False)
class Rule:
    """function: of the runtime, without `ql_`. constants: of 16 or 32 bits, of all outputs, or of
    one that stands for all. fields: of `ql_small`."""

    function: str
    constants: NDArray[Any]
    fields: dict[str, int]


def rule_of(bias: NDArray[np.int32], made: Made | None, program: Program) -> Rule | None:
    """Return what is made of sums without their bias; None if no rule gives the same.

    bias: of each output. made: None where the sums themselves are the result.
    """
    found = _rule(bias, made, program)
    if found is None:
        return None
    by_output = found.constants.reshape(len(bias), -1)
    if (by_output == by_output[0]).all():
        return replace(found, constants=by_output[0])
    return replace(found, fields={**found.fields, "step": 1})


def _rule(bias: NDArray[np.int32], made: Made | None, program: Program) -> Rule | None:
    if made is None:
        return _numbers([(1, added) for added in bias.tolist()], 0)
    operation = made.operation
    kind = program.types[operation.output].kind
    match operation:
        case Requantize() if kind in _BYTES:
            channels = _channels(operation, bias, program)
            if made.pooling is not None and any(one.multiplier < 0 for one in channels):
                return None  # the largest sum does not make the largest code
            found = _fitted(channels, _SHORT) or _fitted(channels, _LONG)
            return _exact(channels, operation) if found is None else _bytes(found, operation)
        case Requantize() if kind == S32:
            return _wide(_channels(operation, bias, program))
        case Add() if kind in _BYTES and made.other is not None:
            return _sum(operation, made, bias, program)
        case _:
            return None


def _channels(operation: Requantize, bias: NDArray[np.int32], program: Program) -> list[Channel]:
    bound = program.bounds[operation.inputs[0]]
    return [one.plain for one in channels_of(operation, bias, bound)]


def _fitted(channels: Sequence[Channel], num_bits: int) -> CoarseSum | None:
    """Return a requantization; None if none gives the codes.

    num_bits: of constants, without their sign.
    """
    limit = 2**num_bits
    multipliers = [(abs(one.multiplier), one.shift) for one in channels]
    shift = next(s for s in _SHIFTS if all(scaled(m, at, s) + 1 < limit for m, at in multipliers))
    widest = max(max(-one.lowest, one.highest) for one in channels)
    doublings = max(0, _WORD - shift)
    if widest << doublings >= 2**_LONG:
        return None
    choices = []
    for one in channels:
        choices.append(choices_of(one, shift))
        if not choices[-1]:
            return None
    found = in_units(choices, num_bits, most_unit=(2**_LONG - 1) >> doublings)
    if found is None:
        return None
    multipliers_C, offsets_C = np.array(found.constants, np.int32).T
    return CoarseSum(
        multipliers=multipliers_C,
        offsets=offsets_C,
        other_multiplier=0,
        unit=found.unit << doublings,
        shift=shift + doublings,
        doublings=doublings,
    )


def _sum(operation: Add, made: Made, bias: NDArray[np.int32], program: Program) -> Rule | None:
    assert made.other is not None
    kind = program.types[made.other].kind
    if kind not in _BYTES:
        return None
    bounds = (program.bounds[operation.inputs[made.side]], program.bounds[made.other])
    for num_bits in (_SHORT, _LONG):
        found = coarse_sum(operation, made.side, bias, bounds, num_bits=num_bits)
        if found is not None:
            rule = _bytes(found, operation)
            break
    else:
        rule = _exact_sum(operation, made.side, bias)
    return replace(rule, fields={**rule.fields, "is_other_signed": int(kind == S8)})


def _exact_sum(operation: Add, side: int, bias: NDArray[np.int32]) -> Rule:
    constants = (
        np.broadcast_to(values.reshape(-1), bias.shape).tolist()
        for values in (
            operation.multipliers[side],
            operation.multipliers[1 - side],
            operation.offset,
            operation.shift,
        )
    )
    words = [
        (multiplier, other, offset + multiplier * added, shift)
        for multiplier, other, offset, shift, added in zip(*constants, bias.tolist(), strict=True)
    ]
    return _words(words, operation)


def _exact(channels: Sequence[Channel], operation: Requantize) -> Rule:
    return _words([(one.multiplier, 0, one.offset, one.shift) for one in channels], operation)


def _words(constants: Sequence[tuple[int, int, int, int]], operation: Requantize | Add) -> Rule:
    """constants: of each output both multipliers, the offset modulo 2^64, and the shift."""
    words = [
        (multiplier, other, offset & _LOW, offset >> _WORD & _LOW, shift)
        for multiplier, other, offset, shift in constants
    ]
    return Rule(
        function="small_exact",
        constants=_as_words(words),
        fields={"low": operation.low, "high": operation.high, **_signs(operation)},
    )


def _as_words(values: Sequence[tuple[int, ...]]) -> NDArray[np.int32]:
    """Return integers modulo 2^32."""
    return np.array(values, np.int64).astype(np.uint32).view(np.int32).reshape(-1)


def _signs(operation: Requantize | Add) -> dict[str, int]:
    return {"is_signed": int(operation.kind == S8)}


def _bytes(found: CoarseSum, operation: Requantize | Add) -> Rule:
    both = np.stack([found.multipliers, found.offsets], axis=1).reshape(-1)
    is_short = bool(abs(both.astype(np.int64)).max() < 2**_SHORT)
    return Rule(
        function="small_bytes",
        constants=both.astype(np.int16) if is_short else both,
        fields={
            "unit": found.unit,
            "other_multiplier": found.other_multiplier,
            "low": operation.low,
            "high": operation.high,
            "shift": found.shift - _WORD,
            "doublings": found.doublings,
            "is_short": int(is_short),
            **_signs(operation),
        },
    )


def _wide(channels: Sequence[Channel]) -> Rule | None:
    """Return a requantization to integers of 32 bits."""
    shift = max(one.shift for one in channels)
    constants = []
    for one in channels:
        factor = 1 << (shift - one.shift)
        constants.append((one.multiplier * factor, one.offset * factor))
        ends = [one.multiplier * x + one.offset for x in (one.lowest, one.highest)]
        is_clamped = any(not one.low <= end >> one.shift <= one.high for end in ends)
        if is_clamped or max(abs(end * factor) for end in ends) >= _BEYOND:
            return _exact_numbers(channels)
    return _numbers(constants, shift) or _exact_numbers(channels)


def _exact_numbers(channels: Sequence[Channel]) -> Rule | None:
    """Return the same with constants of each output alone; None for other limits than 32 bits."""
    if any((one.low, one.high) != (S32.minimum, S32.maximum) for one in channels):
        return None
    words = [
        (one.multiplier, one.offset & _LOW, one.offset >> _WORD & _LOW, one.shift)
        for one in channels
    ]
    return Rule(function="small_exact_numbers", constants=_as_words(words), fields={})


def _numbers(constants: Sequence[tuple[int, int]], shift: int) -> Rule | None:
    """constants: the multiplier and the offset of each output."""
    if any(abs(m) >= 2**31 or abs(offset) >= _BEYOND for m, offset in constants):
        return None
    words = [(m, offset & _LOW, offset >> _WORD) for m, offset in constants]
    return Rule(
        function="small_numbers",
        constants=_as_words(words),
        fields={"shift": shift},
    )
