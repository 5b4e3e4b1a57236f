"""Where tensors lie in the memory of a module.

A tensor lies as elements of its type, images `[C, H, W]` with their channels last, all others in
the order of their axes. Each has a place of its own while operations read it; memory that is free
again is used for others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul

from quantlab.integer.groups import Group
from quantlab.integer.operations import Operation
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType

ALIGNMENT = 16
SLACK = 64  # bytes behind a place, which vectors may read and write


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tensor in memory."""

    address: int
    tensor: TensorType

    @property
    def order(self) -> tuple[int, ...]:
        """The axes from the slowest to the fastest."""
        axes = tuple(range(len(self.tensor.shape)))
        return (1, 2, 0) if len(axes) == 3 else axes

    @property
    def strides(self) -> tuple[int, ...]:
        """How many bytes lie between neighbors along each axis."""
        strides = dict.fromkeys(self.order, 0)
        step = self.element_bytes
        for axis in reversed(self.order):
            strides[axis] = step
            step *= self.tensor.shape[axis]
        return tuple(strides[axis] for axis in range(len(strides)))

    @property
    def element_bytes(self) -> int:
        return self.tensor.kind.num_bits // 8

    @property
    def num_bytes(self) -> int:
        return prod(self.tensor.shape) * self.element_bytes


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """A buffer of `size` bytes, written by step `first`, last read by step `last`."""

    size: int
    first: int
    last: int


def c_strides(shape: Sequence[int], element_bytes: int) -> tuple[int, ...]:
    """Return the bytes between neighbors along each axis of an array in C order."""
    steps = accumulate(reversed(shape), mul, initial=element_bytes)
    return tuple(steps)[-2::-1]


def lifetimes_of(
    program: Program, groups: Sequence[Group], sources: Mapping[str, str]
) -> Mapping[str, Lifetime]:
    """Return the lifetime of every tensor; steps are groups of operations, counted from 0.

    sources: tensors that layers read beside their inputs, by their outputs.
    """
    made, last = dict.fromkeys(program.inputs, -1), dict[str, int]()
    for step, group in enumerate(groups):
        made |= {one.output: step for one in outputs_of(group)}
        last |= dict.fromkeys(group.inputs, step)
        if group.operation.output in sources:
            last[sources[group.operation.output]] = step
    last |= dict.fromkeys(program.outputs, len(groups))
    return {
        name: Lifetime(
            size=Place(address=0, tensor=tensor).num_bytes,
            first=made[name],
            last=max(made[name], last.get(name, -1)),
        )
        for name, tensor in program.types.items()
    }


def outputs_of(group: Group) -> list[Operation]:
    """Return the operations of a group, whose outputs are there after it."""
    return [group.operation, *(one.operation for one in group.made)]


def placed(lifetimes: Mapping[str, Lifetime], start: int) -> tuple[Mapping[str, int], int]:
    """Return the address of each buffer, none over another that is in use, and where they end.

    The largest are placed first, each at the lowest address that is free.
    """
    addresses: dict[str, int] = {}
    for name, own in sorted(lifetimes.items(), key=lambda item: -item[1].size):
        taken = sorted(
            (address, _end(address, lifetimes[other].size))
            for other, address in addresses.items()
            if lifetimes[other].first <= own.last and own.first <= lifetimes[other].last
        )
        address = _aligned(start)
        for begin, end in taken:
            if _end(address, own.size) <= begin:
                break
            address = max(address, end)
        addresses[name] = address
    ends = [_end(address, lifetimes[name].size) for name, address in addresses.items()]
    return addresses, max(ends, default=_aligned(start))


def _end(address: int, size: int) -> int:
    return _aligned(address + size + SLACK)


def _aligned(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT
