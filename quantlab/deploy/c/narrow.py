"""Rescaling in 32 bits, where the program proves that the whole sum fits.

Of each channel it is eight bytes: one word, which is 32 times the multiplier and in whose last five
bits stands the shift, and an offset. Products may wrap around, and so may an offset that has taken
up a bias: the sum modulo 2^32 is the sum.

The multiplier of what is added is one real factor in steps of 2^-shift of each channel. One finer
integer is stored for all channels, and each takes it rounded to its own shift:

    other_multiplier = floor(fine / 2^(fine_shift - shift) + 1/2)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.bounds import Bound
from quantlab.integer.operations.rescale import Rescale

_SUM_BITS = 32
_MOST_SHIFT = 31


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """words, offsets: in shapes that broadcast against the result. fine, fine_shift: of what is
    added, 0 where nothing is."""

    words: NDArray[np.int32]
    offsets: NDArray[np.int32]
    fine: int
    fine_shift: int


def narrow(operation: Rescale, side: int, bound: Bound) -> Narrow | None:
    """Return what an operation is in 32 bits; None if its sums or its multipliers do not fit.

    side: which input is x. bound: of the operation, with the bits of its sums. Its offset may have
    taken up a bias that x lacks.
    """
    if bound.num_bits > _SUM_BITS:
        return None
    multiplier, *others = (
        operation.multipliers[side],
        *(one for place, one in enumerate(operation.multipliers) if place != side),
    )
    # Sums of 32 bits are 0 or -1 behind any longer shift, too.
    shift = np.minimum(operation.shift, _MOST_SHIFT)
    words = multiplier.astype(np.int64) * 32 + shift
    if words.min() < -(2**31) or words.max() >= 2**31:
        return None
    fine = (0, 0)
    for other in others:
        found = _fine(other, shift)
        if found is None:
            return None
        fine = found
    return Narrow(
        words=words.astype(np.int32),
        offsets=operation.offset.astype(np.uint32).astype(np.int32),
        fine=fine[0],
        fine_shift=fine[1],
    )


def _fine(multipliers: NDArray[np.int32], shift: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return the integer that gives all multipliers at their shifts, and its own shift."""
    both = np.broadcast_arrays(multipliers, shift)
    pairs = sorted(set(zip(*(one.reshape(-1).tolist() for one in both), strict=True)))
    for fine_shift in range(max(at for _, at in pairs), _MOST_SHIFT + 1):
        steps = [(multiplier, 1 << (fine_shift - at)) for multiplier, at in pairs]
        least = max(multiplier * step - step // 2 for multiplier, step in steps)
        most = min((multiplier + 1) * step - step // 2 - 1 for multiplier, step in steps)
        half = max(step // 2 for _, step in steps)
        if least <= most and least >= -(2**31) and least + half < 2**31:
            return least, fine_shift
    return None
