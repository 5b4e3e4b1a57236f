"""STE: saturating, and nothing learned."""

import numpy as np

from quantlab.quantizer import Quantizer
from tests.quantlab.algorithms.cases.case import Array, Case, bounds, on_grid, steps


def _gradient(x: Array, q: Quantizer, grad: Array) -> Array:
    low, high = bounds(q)
    rounded = np.floor(steps(x, q) + 0.5)
    return grad * ((rounded >= low) & (rounded <= high))


CASES = {
    "ste": Case(config={"kind": "ste", "num_bits": 4}, forward=on_grid, gradient=_gradient),
    "ste asymmetric": Case(
        config={"kind": "ste", "num_bits": 4, "symmetric": False},
        forward=on_grid,
        gradient=_gradient,
        targets=("input", "output"),
    ),
}
