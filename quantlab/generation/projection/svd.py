"""Singular vectors of the weight, and then of each basis: the closed form, and where others start.

    W [Co, Ci S] ~ P_R diag(s_R) Q_R^T,   V = P_R,   each row of diag(s_R) Q_R^T [Ci, S] ~ U_r B_r

Each step is the best of its rank (C. Eckart, G. Young, 1936), both together are not.
"""

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.shapes import FactorShapes


def svd(weight: Tensor, shapes: FactorShapes) -> Factors:
    """Return factors in float64, B as `[R, L, S]`, of a weight `[Co, Ci, S]`."""
    coeff_out = None
    if shapes.coeff_out is None:
        whole = weight.double()
    else:
        flat = weight.flatten(1)
        vectors = _leading(flat, shapes.coeff_out[1])
        coeff_out = vectors
        whole = (vectors.T.to(weight.dtype) @ flat).double().unflatten(1, weight.shape[1:])
    if shapes.coeff_in is None:
        return Factors(coeff_out=coeff_out, coeff_in=None, basis=whole)
    u, s, vh = torch.linalg.svd(whole, full_matrices=False)
    terms = shapes.coeff_in[2]
    root = s[:, :terms].sqrt()
    return Factors(
        coeff_out=coeff_out,
        coeff_in=u[:, :, :terms] * root[:, None, :],
        basis=root[:, :, None] * vh[:, :terms],
    )


def _leading(flat: Tensor, rank: int) -> Tensor:
    """Return the leading left singular vectors, `[Co, rank]` of the smaller Gram matrix."""
    outputs, inputs = flat.shape
    if outputs <= inputs:
        return _eigenvectors(flat @ flat.T, rank)
    vectors = _eigenvectors(flat.T @ flat, rank)
    columns: Tensor = torch.linalg.qr((flat @ vectors.to(flat.dtype)).double()).Q
    return columns


def _eigenvectors(gram: Tensor, rank: int) -> Tensor:
    vectors: Tensor = torch.linalg.eigh(gram.double()).eigenvectors
    return vectors[:, -rank:].flip(1)
