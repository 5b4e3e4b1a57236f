"""The weight that factors stand for."""

import torch
from torch import Tensor


def generate(coeff_out: Tensor | None, coeff_in: Tensor | None, basis: Tensor) -> Tensor:
    """Return the weight `[Co, Ci, ...]` of factors V, U and B; see `shapes`.

        W[c, i, s] = sum_r V[c, r] sum_l U[r, i, l] B[r, l, s]

    coeff_out: V `[Co, R]`, None if each output has a basis of its own. coeff_in: U `[R, Ci, L]`,
    None if bases are whole: B `[R, Ci, ...]` then.
    """
    bases, _, *kernel = basis.shape
    whole = basis.flatten(2)
    if coeff_in is not None:
        whole = torch.bmm(coeff_in, whole)
    inputs = whole.shape[1]
    if coeff_out is None:
        return whole.reshape(bases, inputs, *kernel)
    return (coeff_out @ whole.flatten(1)).reshape(len(coeff_out), inputs, *kernel)
