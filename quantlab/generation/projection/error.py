"""How far generated weights are from those that they stand for."""

import torch
from torch import Tensor

from quantlab.generation.factors import Factors


def relative_error(weight: Tensor, factors: Factors) -> float:
    """Return |W - generated| / |W| of a weight `[Co, Ci, S]`; 0 of one that is zero."""
    size = weight.abs().max()
    if size == 0:
        return 0.0
    parts = (factors.coeff_out, factors.coeff_in, factors.basis)
    coeff_out, coeff_in, basis = (None if x is None else x.to(weight.dtype) for x in parts)
    assert basis is not None
    made = Factors(coeff_out=coeff_out, coeff_in=coeff_in, basis=basis).generate()
    made.sub_(weight).div_(size)  # squares of tiny elements would vanish
    return float(made.norm() / torch.div(weight, size, out=made).norm())
