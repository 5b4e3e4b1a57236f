"""How far factors are from orthonormal ones, which span the most with their numbers.

    mean (B_r B_r^T - I)^2  +  mean (U~_r^T U~_r - I)^2  +  mean (V~^T V~ - I)^2

over the bases r, with B_r [L, s] and the columns of U_r [Ci, L] and V [Co, R] divided by their
norms, whose gradient is part of it (section 3.4 of the paper; its code leaves that part out, and so
lets the coefficients drift). Without coefficients of inputs B is [R, Ci s] as a whole.
"""

import torch
from torch import Tensor

_LEAST = 1e-8  # of a norm


def orthonormality(coeff_out: Tensor | None, coeff_in: Tensor | None, basis: Tensor) -> Tensor:
    """Return the term of one layer, 0 at orthonormal factors. Shapes as of `generate`."""
    rows = basis.flatten(2) if coeff_in is not None else basis.flatten(1)
    found = _distance(rows @ rows.mT)
    for coefficients in (coeff_in, coeff_out):
        if coefficients is not None:
            norms = torch.linalg.vector_norm(coefficients, dim=-2, keepdim=True)
            columns = coefficients / norms.clamp(min=_LEAST)
            found = found + _distance(columns.mT @ columns)
    return found


def _distance(gram: Tensor) -> Tensor:
    """Return the mean squared difference of Gram matrices `[..., n, n]` from the identity."""
    return (gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)).square().mean()
