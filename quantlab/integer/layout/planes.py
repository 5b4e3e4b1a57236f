"""Integers as planes of bits.

A plane has one bit of each integer, in two's complement. Integers of few levels need few planes:

    x = offset + the sum over planes p of 2^bit_p * (bit of plane p)

where the coefficient of the last plane of signed integers is negative. Bits that are the same in
all levels are part of the offset: -1 and 1 are one plane, 1 - 2 * (bit 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.layout.levels import Levels


@dataclass(frozen=True, kw_only=True)
class Planes:
    """See the module. first: the lowest bit that is a plane. count: of planes, whose bits follow
    one another. is_signed: whether the last one is the sign."""

    offset: int
    first: int
    count: int
    is_signed: bool

    @property
    def coefficients(self) -> tuple[int, ...]:
        """What a bit of each plane counts."""
        powers = [1 << bit for bit in range(self.first, self.first + self.count)]
        if self.is_signed:
            powers[-1] = -powers[-1]
        return tuple(powers)


def planes_of(levels: Levels) -> Planes:
    """Return the planes of integers, at least one."""
    first = (levels.step & -levels.step).bit_length() - 1
    is_signed = levels.low < 0
    # Of a negative integer x the bits of ~x, which is not negative, and the sign.
    num_bits = max((~end if end < 0 else end).bit_length() for end in (levels.low, levels.high))
    num_bits += is_signed
    first = min(first, max(num_bits - 1, 0))
    return Planes(
        offset=levels.low & ((1 << first) - 1),
        first=first,
        count=max(num_bits - first, 1),
        is_signed=is_signed,
    )


def split(integers: NDArray[np.integer], planes: Planes) -> NDArray[np.uint8]:
    """Return the bits `[planes, *shape]`, 0 and 1, of integers whose levels these planes are."""
    wide = integers.astype(np.int64)
    bits = [(wide >> bit) & 1 for bit in range(planes.first, planes.first + planes.count)]
    return np.array(bits, np.uint8)


def joined(bits: NDArray[np.uint8], planes: Planes) -> NDArray[np.int64]:
    """Return the integers of bits `[planes, *shape]`. The inverse of `split`."""
    coefficients = np.array(planes.coefficients, np.int64)
    return np.tensordot(coefficients, bits.astype(np.int64), 1) + planes.offset
