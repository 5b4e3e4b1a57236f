"""Programs with short constants: what is made of sums has multipliers and offsets of 16 bits.

Bytes that are made of a layer's sums are (multiplier * sum + offset) >> shift. Here all channels
share the shift, multipliers have 15 bits and a sign, offsets as many in units of one power of two,
and take up the bias of the layer:

    multiplier = round(m 2^S),   offset = 2^U round(f 2^(S - U))

(what is added to sums has a multiplier of 31 bits)
with m and f the real factor and offset of the program given, S and U the largest and the smallest
with which they fit. So a code may differ by one from that of the program given, where its real
number is within about 2^-7 of an integer: it is another program, with its own accuracy.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import check_kind
from quantlab.integer.bounds import Bound
from quantlab.integer.operations import Add, Convolution, Linear, Operation, Requantize
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S8, U8

Reals = NDArray[np.float64]

_BITS = 15
_MOST_SHIFT = 46


def shortened(program: Program) -> Program:
    """Return a program with short constants wherever bytes are made of a layer's sums, of which
    nothing else is made, alone or with another tensor added. All else stays as it is."""
    check_kind("program", program, Program, "a Program")
    operations = {operation.output: operation for operation in program.operations}
    readings = dict(program.reals)
    for operation in program.operations:
        layers = _layers(operation, program)
        if not layers or not _is_by_channel(operation, layers):
            continue
        assert isinstance(operation, Requantize | Add)
        made = _short(operation, layers, program.bounds)
        if made is None:
            continue
        operations[operation.output] = made
        for layer in layers.values():
            operations[layer.output] = replace(layer, bias=np.zeros_like(layer.bias))
            if layer.output in readings:
                readings[layer.output] = _without(layer, readings[layer.output])
    return replace(program, operations=tuple(operations.values()), reals=readings)


def _layers(operation: Operation, program: Program) -> Mapping[int, Convolution | Linear]:
    """Return the layers whose sums make nothing but the bytes of an operation, by its inputs."""
    if not isinstance(operation, Requantize | Add) or operation.kind not in (U8, S8):
        return {}
    readers = Counter(name for one in program.operations for name in one.inputs)
    readers.update(program.outputs)
    makers = {one.output: one for one in program.operations}
    return {
        side: maker
        for side, name in enumerate(operation.inputs)
        if readers[name] == 1 and isinstance(maker := makers.get(name), Convolution | Linear)
    }


def _is_by_channel(operation: Operation, layers: Mapping[int, Convolution | Linear]) -> bool:
    """Return whether constants differ from channel to channel at most."""
    assert isinstance(operation, Requantize | Add)
    (num_channels, *others) = {len(layer.bias) for layer in layers.values()}
    num_trailing = 2 if isinstance(next(iter(layers.values())), Convolution) else 0
    allowed = ((), (1,) * (num_trailing + 1), (num_channels, *[1] * num_trailing))
    constants: list[NDArray[Any]] = [operation.offset, operation.shift, *operation.multipliers]
    shapes = [_squeezed(one.shape, num_trailing + 1) for one in constants]
    return not others and all(shape in allowed for shape in shapes)


def _squeezed(shape: tuple[int, ...], num_axes: int) -> tuple[int, ...]:
    """Return a shape without leading axes of one place."""
    while len(shape) > num_axes and shape[0] == 1:
        shape = shape[1:]
    return shape


def _short(
    operation: Requantize | Add,
    layers: Mapping[int, Convolution | Linear],
    bounds: Mapping[str, Bound],
) -> Operation | None:
    """Return an operation on sums without their bias, None where its factors are too large for
    short constants."""
    layer = next(iter(layers.values()))
    size = len(layer.bias)
    step = 2.0 ** -_each(operation.shift, size)
    factors = [_each(one, size) * step for one in operation.multipliers]
    offset = _each(operation.offset, size) * step
    for side, one in layers.items():
        offset = offset + factors[side] * one.bias
        # Where only one sum comes, any factor does: a row without weights may have a large one.
        bound = bounds[one.output]
        low, high = (_each(end, size) - one.bias for end in (bound.low, bound.high))
        offset = np.where(low == high, offset + factors[side] * low, offset)
        factors[side] = np.where(low == high, 0.0, factors[side])
    largest = [float(np.abs(factor).max()) for factor in factors]
    shift = _shift_of(max(largest[side] for side in layers))
    # What is added to sums has one multiplier for all, of 31 bits.
    shift = min(shift, *(_shift_of(one, bits=31) for one in largest), _MOST_SHIFT)
    most = float(np.abs(offset).max())
    shift = min(shift, _shift_of(most, bits=60))
    if shift < 0:
        return None
    multipliers = [np.rint(factor * 2.0**shift).astype(np.int32) for factor in factors]
    unit = max(0, -_shift_of(most * 2.0**shift))
    whole = np.rint(offset * 2.0 ** (shift - unit)).astype(np.int64) << unit
    shape = (size, 1, 1) if isinstance(layer, Convolution) else (size,)
    first, *others = (one.reshape(shape) for one in multipliers)
    moved, common = whole.reshape(shape), np.array(shift)
    if isinstance(operation, Requantize):
        return replace(operation, multiplier=first, offset=moved, shift=common)
    (second,) = others
    return replace(
        operation, left_multiplier=first, right_multiplier=second, offset=moved, shift=common
    )


def _each(values: NDArray[Any], size: int) -> Reals:
    """Return a constant of each channel."""
    return np.broadcast_to(np.asarray(values, np.float64).reshape(-1), size)


def _shift_of(largest: float, bits: int = _BITS) -> int:
    """Return how often a number can be doubled, or halved, to have so many bits."""
    if largest == 0:
        return _MOST_SHIFT
    most = 2**bits - 1
    shift = int(np.floor(np.log2(most / largest)))
    return shift - int(round(largest * 2.0**shift) > most)


def _without(layer: Convolution | Linear, reading: Reading) -> Reading:
    """Return what the sums of a layer stand for without their bias."""
    trailing = (1, 1) if isinstance(layer, Convolution) else ()
    added = reading.scale * layer.bias.reshape(-1, *trailing)
    return replace(reading, offset=reading.offset + added)
