"""Floats of 32 bits as products of a step and integers from -127 to 127.

A step has 16 significant bits: its products are exact, and the largest one tells it again.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST, _BITS = 127, 16
_LEAST = 2.0**-100  # of a step, so that no product is a denormal number

Floats = NDArray[np.float32]


def on_steps(values: NDArray[Any]) -> Floats:
    """Return the products of a step nearest to floats; the step is that of the largest float."""
    mantissa, exponent = np.frexp(np.abs(values).max(initial=0) / _MOST)
    step = np.ldexp(np.ceil(mantissa * 2**_BITS), exponent - _BITS)
    if step < _LEAST:
        return values.astype(np.float32)
    products: Floats = (np.round(values / step) * step).astype(np.float32)
    return products


def steps_of(values: Floats) -> tuple[np.float32, NDArray[np.int8]] | None:
    """Return the step and the integers of floats that `on_steps` gave, None for others."""
    step = np.float32(np.abs(values).max(initial=0) / np.float32(_MOST))
    if not _LEAST <= step < np.inf:
        return None
    codes = np.round(values / step)
    if not np.array_equal(codes * step, values):
        return None
    return step, codes.astype(np.int8)
