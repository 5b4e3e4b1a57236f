"""The types of tensors in an integer program."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike

from quantlab.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class IntegerType:
    """A machine's integers, all from `minimum` to `maximum`."""

    name: str
    minimum: int
    maximum: int

    @cached_property
    def dtype(self) -> DTypeLike:
        return np.dtype({"u": "uint", "s": "int"}[self.name[0]] + self.name[1:])

    @property
    def num_bits(self) -> int:
        return int(self.name[1:])

    def holds(self, low: int, high: int) -> bool:
        """Return whether all integers from `low` to `high` are among these."""
        return self.minimum <= low and high <= self.maximum

    def __str__(self) -> str:
        return self.name


U8 = IntegerType("u8", 0, 255)
S8 = IntegerType("s8", -128, 127)
S16 = IntegerType("s16", -(2**15), 2**15 - 1)
S32 = IntegerType("s32", -(2**31), 2**31 - 1)
TYPES = {kind.name: kind for kind in (U8, S8, S16, S32)}


def type_named(name: str) -> IntegerType:
    """Return the type of a name. Raises UsageError if there is none."""
    if name not in TYPES:
        raise UsageError(
            f"integer type: '{name}' given, {', '.join(TYPES)} allowed{did_you_mean(name, TYPES)}"
        )
    return TYPES[name]


def smallest_type(low: int, high: int) -> IntegerType:
    """Return the first of u8, s8, s16 and s32 that has all integers from `low` to `high`.

    Raises UsageError if none has.
    """
    for kind in TYPES.values():
        if kind.holds(low, high):
            return kind
    raise UsageError(f"integers: {low} to {high} given, at most 32 bits allowed")


@dataclass(frozen=True)
class TensorType:
    """What a tensor is. shape: of one sample, without the batch."""

    shape: tuple[int, ...]
    kind: IntegerType

    def __post_init__(self) -> None:
        if not isinstance(self.kind, IntegerType):
            raise UsageError(f"tensor of {self.kind!r} given, U8, S8, S16 or S32 allowed")
        is_shape = isinstance(self.shape, tuple) and all(
            isinstance(size, int) and size >= 1 for size in self.shape
        )
        if not is_shape:
            shape = list(self.shape) if isinstance(self.shape, tuple) else self.shape
            raise UsageError(f"tensor of shape {shape!r} given, sizes from 1 allowed")

    def __str__(self) -> str:
        return f"{self.kind}{list(self.shape)}"
