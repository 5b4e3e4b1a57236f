"""Integer multipliers for real ones: the only place where a program is not exact.

A factor m becomes M / 2^S with M of 31 bits (B. Jacob et al., Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference, 2018, arXiv:1712.05877, section 2.2), and
the offset has 64 bits. So the result is off by at most about 2^-31 of itself.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.integer.bounds import Bound
from quantlab.integer.lower.grid import Reals
from quantlab.integer.operations.rescale import MAX_SHIFT

_MOST = 2**31 - 1


def choose(
    factors: Sequence[Reals], offset: Reals, bounds: Sequence[Bound], layer: str
) -> tuple[list[NDArray[np.int32]], NDArray[np.int64], NDArray[np.int64]]:
    """Return multipliers, offset and shift: as large as 31 bits of each multiplier and 63 bits of
    the sum allow. All have the shape of the factors and the offset, broadcast.

    Raises UsageError if a factor or a number in codes is too large.
    """
    shape = np.broadcast_shapes(offset.shape, *(factor.shape for factor in factors))
    most = np.zeros(shape)
    total = np.abs(offset) + 1.0
    for factor, bound in zip(factors, bounds, strict=True):
        most = np.maximum(most, np.abs(factor))
        total = total + np.abs(factor) * max(abs(bound.lowest), abs(bound.highest))
    by_multiplier = np.log2(_MOST / np.maximum(most, 2.0**-40))
    by_sum = 62.0 - np.log2(total)
    room = np.broadcast_to(np.minimum(by_multiplier, by_sum), shape)
    if room.min() < 0:
        raise UsageError(
            f"layer '{layer}': a factor of {most.max():.3g} and numbers of up to {total.max():.3g} "
            "codes given, at most 2^31 and 2^62 allowed; the range of the codes, as quantized or "
            "as seen on samples, is too small for what the layer can give"
        )
    shift = np.minimum(np.floor(room), MAX_SHIFT).astype(np.int64)
    scale = np.ldexp(1.0, shift)
    multipliers = [
        np.asarray(np.rint(np.broadcast_to(factor, shape) * scale), np.int32) for factor in factors
    ]
    return multipliers, np.asarray(np.rint(offset * scale), np.int64), np.asarray(shift)
