"""Alternating least squares: each factor in turn is the best one for the others.

The weight is a sum of R terms of rank (L, L, 1), and the steps are closed forms (L. De Lathauwer,
D. Nion, Decompositions of a higher-order tensor in block terms III, 2008, section 2; see
`equations.py`). A ridge holds each step near where it was, so that the error never grows and terms
that coincide do no harm; after each round the terms are balanced (`gauge.py`).
"""

from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.equations import (
    equations_of,
    present,
    rows_of,
    with_rows,
)
from quantlab.generation.projection.error import relative_error
from quantlab.generation.projection.gauge import gauged

RIDGE = 1e-7


def als(weight: Tensor, factors: Factors, *, rounds: int = 50, tolerance: float = 1e-5) -> Factors:
    """Return factors of a lower error, from those given; float64, B as `[R, L, S]`.

    weight: `[Co, Ci, S]`. tolerance: the least part of the error by which a round lowers it, or
    it is the last.
    """
    names = present(factors)
    if len(names) == 1:
        return factors
    before = relative_error(weight, factors)
    for _ in range(rounds):
        for name in names:
            equations = equations_of(name, weight, factors)
            rows = equations.solve(rows_of(name, factors), RIDGE)
            factors = with_rows(name, factors, rows)
        factors = gauged(factors)
        after = relative_error(weight, factors)
        if before - after <= tolerance * before:
            break
        before = after
    return factors
