"""Singular vectors of the weight, and then of each basis: the closed form, and where others start.

    W [Co, Ci S] ~ P_R diag(s_R) Q_R^T,   V = P_R,   each row of diag(s_R) Q_R^T [Ci, S] ~ U_r B_r

Each step is the best of its rank (C. Eckart, G. Young, 1936), both together are not.
"""

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.parts import parts_of_bases
from quantlab.generation.shapes import FactorShapes

# Of a Gram matrix of more rows, which would take many times the memory of the weight, the leading
# vectors are found without it (N. Halko et al., Finding structure with randomness, 2011,
# arXiv:0909.4061, algorithm 4.4).
_MOST_ROWS = 256
_TURNS = 24
_MORE_VECTORS = 16


def svd(weight: Tensor, shapes: FactorShapes) -> Factors:
    """Return factors in float64, B as `[R, L, S]`, of a weight `[Co, Ci, S]`."""
    vectors = None
    if shapes.coeff_out is not None:
        vectors = _leading(weight.flatten(1), shapes.coeff_out[1])
    if shapes.coeff_in is None:
        whole = _bases(weight, vectors, slice(None))
        return Factors(coeff_out=vectors, coeff_in=None, basis=whole)
    terms = shapes.coeff_in[2]
    coeff_in, basis = [], []
    for part in parts_of_bases(weight, len(weight) if vectors is None else vectors.shape[1]):
        u, s, vh = torch.linalg.svd(_bases(weight, vectors, part), full_matrices=False)
        root = s[:, :terms].sqrt()
        coeff_in.append(u[:, :, :terms] * root[:, None, :])
        basis.append(root[:, :, None] * vh[:, :terms])
    return Factors(coeff_out=vectors, coeff_in=torch.cat(coeff_in), basis=torch.cat(basis))


def _bases(weight: Tensor, vectors: Tensor | None, part: slice) -> Tensor:
    """Return some of the bases as a whole, `[R, Ci, S]`, float64."""
    if vectors is None:
        return weight[part].double()
    rows: Tensor = vectors[:, part].T.to(weight.dtype) @ weight.flatten(1)
    return rows.double().reshape(-1, *weight.shape[1:])


def _leading(flat: Tensor, rank: int) -> Tensor:
    """Return the leading left singular vectors, `[Co, rank]`."""
    outputs, inputs = flat.shape
    if min(outputs, inputs) > max(_MOST_ROWS, 4 * rank):
        return _without_gram(flat, rank)
    if outputs <= inputs:
        return _eigenvectors(flat @ flat.T, rank)
    vectors = _eigenvectors(flat.T @ flat, rank)
    columns: Tensor = torch.linalg.qr((flat @ vectors.to(flat.dtype)).double()).Q
    return columns


def _without_gram(flat: Tensor, rank: int) -> Tensor:
    """Return the leading vectors of a subspace that is multiplied by W W^T in turns."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(flat.shape[1], rank + _MORE_VECTORS, generator=generator)
    columns = torch.linalg.qr(flat @ start.to(flat)).Q
    for _ in range(_TURNS):
        columns = torch.linalg.qr(flat @ torch.linalg.qr(flat.T @ columns).Q).Q
    inner = columns.T @ flat
    turned = columns.double() @ _eigenvectors(inner @ inner.T, rank)
    leading: Tensor = torch.linalg.qr(turned).Q
    return leading


def _eigenvectors(gram: Tensor, rank: int) -> Tensor:
    vectors: Tensor = torch.linalg.eigh(gram.double()).eigenvectors
    return vectors[:, -rank:].flip(1)
