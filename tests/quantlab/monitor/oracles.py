"""The grid of a quantizer in NumPy, from its codes alone."""

import numpy as np

from quantlab.quantizer import Quantizer
from tests.quantlab.monitor.small import Array, array


def levels(quantizer: Quantizer) -> Array:
    """Return the numbers of the grid, [K, *scale_shape]."""
    codes = np.asarray(list(quantizer.spec.codes), dtype=np.float64)
    codes = codes.reshape(-1, *[1] * len(quantizer.scale_shape))
    return (codes - array(quantizer.zero_point)) * array(quantizer.scale)


def nearest(quantizer: Quantizer, x: Array) -> tuple[Array, Array]:
    """Return for each number the index of the nearest level, and that level."""
    grid = np.broadcast_to(
        levels(quantizer).reshape(
            len(quantizer.spec.codes), *quantizer.scale_shape or [1] * x.ndim
        ),
        (len(quantizer.spec.codes), *x.shape),
    )
    index = np.abs(grid - x).argmin(0)
    return index, np.take_along_axis(grid, index[None], 0)[0]
