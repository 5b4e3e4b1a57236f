"""Layers of generated weights: what their factors are lowered to, done at once.

    Convolution 1x1, Requantize, Convolution with a group an output, Requantize, Convolution 1x1

become one step if each Requantize is a shift: the tensors of 16 bits between the layers stay in the
caches, some rows at a time. The last Convolution may be absent, or the middle one; then the first
may have a stride.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab import backend
from quantlab.backend import Codes, PackedStages
from quantlab.integer.fast.geometry import geometry_of, weights_of
from quantlab.integer.fast.layout import Integers
from quantlab.integer.fast.padded import SIGN, SLACK, PaddedInput
from quantlab.integer.fast.step import Step, Tensors
from quantlab.integer.groups import Group
from quantlab.integer.operations import Convolution, Operation, Requantize
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8

_CHAINS = (("first", "kernels", "point"), ("first", "kernels"), ("strided", "point"))


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What a Requantize does: (sum + offset) >> shift, clamped to 16 bits."""

    offset: int
    shift: int


_NOTHING = Shift(offset=0, shift=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """The groups of one layer's factors, of which kinds they are, and the shifts between them."""

    groups: tuple[Group, ...]
    shifts: tuple[Shift, ...]
    kinds: tuple[str, ...]


def chains(program: Program, groups: Sequence[Group]) -> list[Chain]:
    """Return the groups of a program that can be done at once."""
    readers = Counter(name for group in groups for name in set(group.inputs))
    makers = {made.operation.output: group for group in groups for made in group.made}

    def backwards(group: Group, *kinds: str) -> Chain | None:
        """Return the chain that ends with a group, its convolutions being of some kinds."""
        found, shifts = [group], list[Shift]()
        for kind in reversed(kinds):
            if kind not in _kinds(program, found[0].operation):
                return None
            if len(found) == len(kinds):
                break
            (name,) = found[0].operation.inputs
            maker = makers.get(name)
            if maker is None or maker.is_read or len(maker.made) != 1:
                return None
            shift = _shift_of(program, maker.made[0].operation)
            if shift is None or readers[name] != 1 or name in program.outputs:
                return None
            found.insert(0, maker)
            shifts.insert(0, shift)
        return Chain(groups=tuple(found), shifts=tuple(shifts), kinds=kinds)

    found: dict[int, Chain] = {}  # by the groups that are in one
    for kinds in _CHAINS:
        for group in groups:
            chain = backwards(group, *kinds)
            if chain is not None and not any(id(one) in found for one in chain.groups):
                found |= dict.fromkeys(map(id, chain.groups), chain)
    return list(dict.fromkeys(found.values()))


class StagedBytes:
    """Multiplies by the weights of all convolutions of a chain."""

    def __init__(self, program: Program, chain: Chain) -> None:
        first, *others = (group.operation for group in chain.groups)
        assert isinstance(first, Convolution)
        given = program.types[first.inputs[0]]
        geometry = geometry_of(first, given)
        is_words, is_shifted = given.kind == S16, given.kind == S8
        self._input = PaddedInput(
            geometry,
            np.int16 if is_words else np.uint8,
            is_shifted=is_shifted,
            may_read_on=geometry.span % SLACK != 0,
        )
        channels, height, width = given.shape
        has_kernels = chain.kinds[1] == "kernels"
        kernels = others.pop(0) if has_kernels else first
        assert isinstance(kernels, Convolution)
        windows, shifts = kernels.windows, (*chain.shifts, _NOTHING)
        self._stages = PackedStages(
            (height, width, channels),
            is_words,
            _weights(first, shifts[0], is_shifted=is_shifted),
            shifts[0].shift,
            _weights(kernels, shifts[1]) if has_kernels else None,
            shifts[1].shift,
            _weights(others[0], _NOTHING) if others else None,
            windows.kernel,
            windows.stride,
            windows.dilation,
            windows.padding,
        )

    def __call__(
        self,
        x: Integers,
        sums: NDArray[np.int32] | None,
        codes: Sequence[Codes],
        num_threads: int | None,
    ) -> None:
        backend.convolve_stages(
            self._input.lay_out(x), self._stages, len(x), sums=sums, codes=codes,
            num_threads=num_threads,
        )  # fmt: skip


class Staged(Step):
    """All layers of a chain at once; where every tensor is asked for, those between from the steps
    of one layer each."""

    def __init__(self, whole: Step, parts: Sequence[Step]) -> None:
        self.inputs = whole.inputs
        self._whole, self._parts = whole, tuple(parts)

    def run(self, tensors: Tensors, *, keep: bool, num_threads: int | None) -> Tensors:
        found: Tensors = {}
        for part in self._parts if keep else ():
            found |= part.run({**tensors, **found}, keep=True, num_threads=num_threads)
        return found | self._whole.run(tensors, keep=keep, num_threads=num_threads)


def _kinds(program: Program, operation: Operation) -> Iterator[str]:
    """Yield what a convolution can be in a chain."""
    if not isinstance(operation, Convolution):
        return
    kind, windows = program.types[operation.inputs[0]].kind, operation.windows
    if windows.kernel == (1, 1) and not windows.is_padded and operation.groups == 1:
        if kind in (U8, S8, S16):
            yield "strided"
        if kind in (U8, S8, S16) and windows.stride == (1, 1):
            yield "first"
        if kind == S16 and windows.stride == (1, 1):
            yield "point"
    is_zero = not windows.is_padded or not operation.padding_codes.any()
    if kind == S16 and is_zero and len(operation.weight) == operation.groups:
        yield "kernels"


def _shift_of(program: Program, operation: Operation) -> Shift | None:
    """Return the shift that a Requantize to 16 bits is, None if it is none.

    With the multiplier 2^m it is (sum + (offset >> m)) >> (shift - m), since the rest of the offset
    is less than a step of the sums.
    """
    if not isinstance(operation, Requantize):
        return None
    constants = (operation.multiplier, operation.offset, operation.shift)
    if (operation.low, operation.high) != (S16.minimum, S16.maximum) or operation.kind != S16:
        return None
    if any(np.ptp(constant) for constant in constants):
        return None
    multiplier, offset, shift = (int(constant.flat[0]) for constant in constants)
    power = multiplier.bit_length() - 1
    if multiplier < 1 or multiplier != 1 << power or not 0 <= shift - power < S32.num_bits:
        return None
    offset >>= power
    bound = program.bounds[operation.inputs[0]]
    if not S32.holds(bound.lowest + offset, bound.highest + offset):
        return None
    return Shift(offset=offset, shift=shift - power)


def _weights(
    operation: Operation, shift: Shift, *, is_shifted: bool = False
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Return the weights and biases of a convolution, with what rounds its sums. is_shifted: its
    input becomes unsigned, 128 more."""
    assert isinstance(operation, Convolution)
    weights, bias = weights_of(operation), operation.bias.astype(np.int64) + shift.offset
    if is_shifted:
        bias = bias - SIGN * weights.sum(1, dtype=np.int64)
    return weights, bias.astype(np.int32)  # wraps around as the sums do
