"""Integer multipliers for real ones: the only place where a program is not exact.

A factor m becomes M / 2^S with M of 31 bits (B. Jacob et al., Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference, 2018, arXiv:1712.05877, section 2.2), and
the offset has 64 bits. So the result is off by at most about 2^-31 of itself. If the sum has 32
bits, numbers of b bits leave 31 - b for the multipliers: the result is off by about 2^(b - 32) of
the largest one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.bounds import Bound
from quantlab.integer.lower.grid import Reals
from quantlab.integer.operations.rescale import MAX_SHIFT

_MOST = 2**31 - 1
_MOST_TO_RESCALE = 2.0**26  # in sums of 32 bits: multipliers have at least 5


def choose(
    factors: Sequence[Reals],
    offset: Reals,
    bounds: Sequence[Bound],
    layer: str,
    *,
    sum_bits: int = 64,
) -> tuple[list[NDArray[np.int32]], NDArray[np.int64], NDArray[np.int64]]:
    """Return multipliers, offset and shift: as large as 31 bits of each multiplier and the bits of
    the sum, 32 or 64, allow. All have the shape of the factors and the offset, broadcast.

    Raises UsageError if a factor or a number in codes is too large, or if what is rescaled leaves
    multipliers of too few bits.
    """
    shape = np.broadcast_shapes(offset.shape, *(factor.shape for factor in factors))
    most = np.zeros(shape)
    total = np.abs(offset) + 1.0
    ends = [max(abs(bound.lowest), abs(bound.highest)) for bound in bounds]
    for factor, end in zip(factors, ends, strict=True):
        most = np.maximum(most, np.abs(factor))
        total = total + np.abs(factor) * end
    by_multiplier = np.log2(_MOST / np.maximum(most, 2.0**-40))
    by_sum = (62.0 if sum_bits == 64 else _narrow_room(sum(ends), layer)) - np.log2(total)
    room = np.broadcast_to(np.minimum(by_multiplier, by_sum), shape)
    if room.min() < 0:
        raise UsageError(
            f"layer '{layer}': a factor of {most.max():.3g} and numbers of up to {total.max():.3g} "
            f"codes given, at most 2^31 and 2^{sum_bits - 2} allowed; the range of the codes, as "
            "quantized or as seen on samples, is too small for what the layer can give"
        )
    shift = np.minimum(np.floor(room), MAX_SHIFT).astype(np.int64)
    scale = np.ldexp(1.0, shift)
    multipliers = [
        np.asarray(np.rint(np.broadcast_to(factor, shape) * scale), np.int32) for factor in factors
    ]
    return multipliers, np.asarray(np.rint(offset * scale), np.int64), np.asarray(shift)


def _narrow_room(most: int, layer: str) -> float:
    """Return log2 of what a sum of 32 bits has room for, each multiplier rounded by one half.

    most: the largest numbers that are rescaled, of all inputs together.
    """
    if most > _MOST_TO_RESCALE:
        raise UsageError(
            f"layer '{layer}': numbers of up to 2^{np.log2(most):.1f} to rescale given, at most "
            "2^26 allowed with sum_bits 32; fewer bits of its weights or inputs, or sum_bits 64, "
            "make it fit"
        )
    return float(np.log2(2.0**31 - 2.0 - most / 2))
