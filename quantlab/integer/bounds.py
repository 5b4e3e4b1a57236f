"""Proofs that no number of a program leaves its type, whatever the input is.

Each tensor has a lowest and a highest integer, for each channel where that is known. A sum is
bounded whatever the order in which it is added up, so that every engine may choose its own: the
bound is that of the worst part of its terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.operations import (
    AdaptiveSumPool,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Reshape,
    Slice,
    SumPool,
    Threshold,
)
from quantlab.integer.operations.pooling import adaptive_ends
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.tensor_type import TensorType

Exact = NDArray[np.object_]  # Python's integers, which have no end


@dataclass(frozen=True, kw_only=True, eq=False)
class Bound:
    """The lowest and highest integers of a tensor, in a shape that broadcasts against it.

    num_bits: of the signed integer that holds every partial sum on the way; 0 where there is none.
    available_bits: of the accumulator.
    """

    low: Exact
    high: Exact
    num_bits: int = 0
    available_bits: int = 0

    @property
    def lowest(self) -> int:
        return int(self.low.min())

    @property
    def highest(self) -> int:
        return int(self.high.max())

    @property
    def headroom(self) -> int:
        """How many bits of the accumulator are never needed."""
        return self.available_bits - self.num_bits


def prove(
    inputs: Mapping[str, TensorType],
    operations: Sequence[Operation],
    types: Mapping[str, TensorType],
) -> Mapping[str, Bound]:
    """Return the bounds of all tensors. Raises UsageError where an accumulator may overflow."""
    found = {name: _of(given.kind.minimum, given.kind.maximum) for name, given in inputs.items()}
    for operation in operations:
        given = [types[name] for name in operation.inputs]
        bound = bound_of(operation, [found[name] for name in operation.inputs], given)
        if bound.num_bits > bound.available_bits:
            raise UsageError(
                f"layer '{operation.layer}': {type(operation).__name__} '{operation.output}' needs "
                f"an accumulator of {bound.num_bits} bits, {bound.available_bits} allowed; fewer "
                "bits of the weights or the input, or fewer inputs, make it fit"
            )
        found[operation.output] = bound
    return found


@singledispatch
def bound_of(operation: Operation, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    """Return the bound of an operation's output."""
    raise TypeError(f"{type(operation).__name__}: has no `bound_of` in quantlab.integer.bounds")


@bound_of.register
def _(operation: Convolution, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    padding = operation.padding_codes.astype(object)
    low, high = _by_channel(inputs[0], len(padding))
    if operation.windows.is_padded:
        low, high = np.minimum(low, padding), np.maximum(high, padding)
    num_outputs = len(operation.bias)
    in_groups = (operation.groups, len(padding) // operation.groups)
    group = np.arange(num_outputs) // (num_outputs // operation.groups)
    low, high = (end.reshape(in_groups)[group][:, :, None] for end in (low, high))
    weight = operation.weight.reshape(num_outputs, in_groups[1], -1)
    return _sum_bound(weight, low, high, operation.bias, (num_outputs, 1, 1))


@bound_of.register
def _(operation: Linear, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    low = np.array(inputs[0].lowest, dtype=object)
    high = np.array(inputs[0].highest, dtype=object)
    weight = operation.weight[:, None, :]
    return _sum_bound(weight, low, high, operation.bias, (len(operation.bias),))


def _sum_bound(
    weight: NDArray[np.int8], low: Exact, high: Exact, bias: NDArray[np.int32], shape: Any
) -> Bound:
    """weight: [O, I, K]; low, high: of the inputs, broadcast against it."""
    wide = weight.astype(np.int64)
    terms = wide * low.astype(np.int64), wide * high.astype(np.int64)
    least, most = np.minimum(*terms), np.maximum(*terms)
    add = bias.astype(np.int64)
    worst_low = np.minimum(least, 0).sum((1, 2)) + np.minimum(add, 0)
    worst_high = np.maximum(most, 0).sum((1, 2)) + np.maximum(add, 0)
    return Bound(
        low=(least.sum((1, 2)) + add).astype(object).reshape(shape),
        high=(most.sum((1, 2)) + add).astype(object).reshape(shape),
        num_bits=signed_bits(int(worst_low.min()), int(worst_high.max())),
        available_bits=32,
    )


@bound_of.register
def _(operation: Rescale, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    low = high = _exact(operation.offset)
    worst_low, worst_high = np.minimum(low, 0), np.maximum(high, 0)
    for bound, multiplier in zip(inputs, operation.multipliers, strict=True):
        ends = [_exact(multiplier) * bound.low, _exact(multiplier) * bound.high]
        least, most = np.minimum(*ends), np.maximum(*ends)
        low, high = low + least, high + most
        worst_low = worst_low + np.minimum(least, 0)
        worst_high = worst_high + np.maximum(most, 0)
    shift = _exact(operation.shift)
    return Bound(
        low=(low >> shift).clip(operation.low, operation.high),
        high=(high >> shift).clip(operation.low, operation.high),
        num_bits=signed_bits(int(worst_low.min()), int(worst_high.max())),
        available_bits=64,
    )


@bound_of.register
def _(operation: Multiply, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    left, right = inputs
    ends = [
        (_exact(a) - operation.left_zero) * (_exact(b) - operation.right_zero)
        for a in (left.low, left.high)
        for b in (right.low, right.high)
    ]
    low, high = np.minimum.reduce(ends), np.maximum.reduce(ends)
    bits = signed_bits(int(low.min()), int(high.max()))
    return Bound(low=low, high=high, num_bits=bits, available_bits=32)


@bound_of.register
def _(operation: SumPool, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    height, width = operation.windows.kernel
    low, high = inputs[0].lowest, inputs[0].highest
    if any(operation.windows.padding) or operation.windows.ceil_mode:
        low, high = min(low, operation.padding_code), max(high, operation.padding_code)
    return _sum_of((height * width, height * width), low, high)


@bound_of.register
def _(operation: AdaptiveSumPool, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    fewest = most = 1
    for size, windows in zip(types[0].shape[1:], operation.size, strict=True):
        sizes = [end - start for start, end in adaptive_ends(size, windows)]
        fewest, most = fewest * min(sizes), most * max(sizes)
    return _sum_of((fewest, most), inputs[0].lowest, inputs[0].highest)


def _sum_of(counts: tuple[int, int], low: int, high: int) -> Bound:
    """counts: the least and the most numbers that are added up, each from `low` to `high`."""
    low, high = min(n * low for n in counts), max(n * high for n in counts)
    bits = signed_bits(min(low, 0), max(high, 0))
    ends = _of(low, high)
    return Bound(low=ends.low, high=ends.high, num_bits=bits, available_bits=32)


@bound_of.register(Reshape)
@bound_of.register(Permute)
@bound_of.register(Slice)
@bound_of.register(Concatenate)
def _(operation: Operation, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    return _of(min(b.lowest for b in inputs), max(b.highest for b in inputs))


@bound_of.register
def _(operation: MaxPool, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    low, high = inputs[0].lowest, inputs[0].highest
    (given,) = types
    if not operation.windows.see_all(*given.shape[1:]):
        low = given.kind.minimum  # which a window of padding alone gives
    return _of(low, high)


@bound_of.register
def _(operation: Lookup, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    start = types[0].kind.minimum
    reached = operation.table[inputs[0].lowest - start : inputs[0].highest - start + 1]
    return _of(int(reached.min()), int(reached.max()))


@bound_of.register
def _(operation: Threshold, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    return _of(operation.low, operation.high)


@bound_of.register
def _(operation: ArgMax, inputs: Sequence[Bound], types: Sequence[TensorType]) -> Bound:
    return _of(0, types[0].shape[operation.axis] - 1)


def signed_bits(low: int, high: int) -> int:
    """Return how many bits a signed integer needs to hold all from `low` to `high`."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def _of(low: int, high: int) -> Bound:
    return Bound(low=np.array([low], dtype=object), high=np.array([high], dtype=object))


def _exact(array: NDArray[Any]) -> Exact:
    """Return Python's integers; of one axis at least, since NumPy makes numbers of none its own."""
    return np.atleast_1d(array).astype(object)


def _by_channel(bound: Bound, num_channels: int) -> tuple[Exact, Exact]:
    """Return both ends for each channel of `[C, H, W]`."""
    low, high = np.array([bound.lowest], object), np.array([bound.highest], object)
    if bound.low.ndim == 3:
        low, high = bound.low.min((1, 2)), bound.high.max((1, 2))
    return np.broadcast_to(low, (num_channels,)), np.broadcast_to(high, (num_channels,))
