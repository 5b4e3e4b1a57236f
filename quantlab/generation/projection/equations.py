"""The least-squares equations of one factor, the others held.

Of the factors V [Co, R], U [R, Ci, L] and B [R, L, S] of a weight W [Co, Ci, S] each one alone is
the solution X of G X = H. With rows and columns of X, r and q over R, l and k over L:

    U  R L x Ci   G = (V^T V)[r, q] (B B^T)[rl, qk]            H = sum_s (V^T W)[r, i, s] B[r, l, s]
    B  R L x S    G = (V^T V)[r, q] (U^T U)[rl, qk]            H = sum_i (V^T W)[r, i, s] U[r, i, l]
    V  R x Co     G = sum_lk (U^T U)[rl, qk] (B B^T)[rl, qk]   H = sum_is (U B)[r, i, s] W[c, i, s]

G are products of small Gram matrices, element by element, and H contractions of the weight: the
matrix of all products of two factors (Khatri-Rao) is never made. Without V the equations of each
output are its own, without U the columns of B are all of Ci S. G and H are float64; contractions
are in the type of the weight.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.parts import parts_of_bases
from quantlab.generation.spec import FactorName


@dataclass(frozen=True, kw_only=True)
class Equations:
    """gram: G `[N, rows, rows]`; right: H `[N, rows, columns]`; N independent ones, float64."""

    gram: Tensor
    right: Tensor

    def solve(self, near: Tensor, ridge: float) -> Tensor:
        """Return X with the least squared error + ridge * mean of the diagonal * |X - near|^2,
        which is never worse than `near`."""
        diagonal = torch.diagonal(self.gram, dim1=1, dim2=2)
        weight = (ridge * diagonal.mean(1)).clamp(min=torch.finfo(self.gram.dtype).tiny)
        damped = self.gram + torch.diag_embed(weight[:, None].expand_as(diagonal))
        right = (self.gram @ near).neg_().add_(self.right)
        change: Tensor = torch.linalg.solve(damped, right)
        return change.add_(near)

    def loss(self, rows: Tensor) -> Tensor:
        """Return the squared error of rows `[..., N, rows, columns]`, but for |W|^2: `[...]`."""
        found = (self.gram @ rows).sub_(self.right, alpha=2).mul_(rows)
        return found.flatten(-3).sum(-1)


def present(factors: Factors) -> tuple[FactorName, ...]:
    """Return the names of the factors that there are."""
    order: tuple[FactorName, ...] = ("coeff_out", "coeff_in", "basis")
    return tuple(name for name in order if factors.by_name[name] is not None)


def equations_of(name: FactorName, weight: Tensor, factors: Factors) -> Equations:
    """Return the equations of a factor. weight: `[Co, Ci, S]`; factors: float64, B `[R, L, S]`."""
    if name == "coeff_out":
        return _of_coeff_out(weight, factors)
    pulled = weight
    if factors.coeff_out is not None:
        pulled = (factors.coeff_out.T.to(weight.dtype) @ weight.flatten(1)).unflatten(
            1, weight.shape[1:]
        )
    if factors.coeff_in is None:
        inner, right = None, pulled.flatten(1)[:, None].double()
    elif name == "coeff_in":
        inner = factors.basis
        right = (inner.to(weight.dtype) @ pulled.mT).double()
    else:
        inner = factors.coeff_in.mT
        right = (inner.to(weight.dtype) @ pulled).double()
    return _joined(factors.coeff_out, inner, right)


def rows_of(name: FactorName, factors: Factors) -> Tensor:
    """Return X, `[N, rows, columns]`, of a factor."""
    if name == "coeff_out":
        assert factors.coeff_out is not None
        return factors.coeff_out.T[None]
    if factors.coeff_in is None:
        rows = factors.basis.flatten(1)[:, None]
    else:
        rows = factors.coeff_in.mT if name == "coeff_in" else factors.basis
    return rows if factors.coeff_out is None else rows.flatten(0, 1)[None]


def with_rows(name: FactorName, factors: Factors, rows: Tensor) -> Factors:
    """Return the factors with X for one of them."""
    if name == "coeff_out":
        return replace(factors, coeff_out=rows[0].T)
    if name == "coeff_in":
        assert factors.coeff_in is not None
        bases, inputs, terms = factors.coeff_in.shape
        return replace(factors, coeff_in=rows.reshape(bases, terms, inputs).mT)
    return replace(factors, basis=rows.reshape(factors.basis.shape))


def _of_coeff_out(weight: Tensor, factors: Factors) -> Equations:
    if factors.coeff_in is None:
        rows = factors.basis.flatten(1)
        right = rows.to(weight.dtype) @ weight.flatten(1).T
        return Equations(gram=(rows @ rows.T)[None], right=right.double()[None])
    right = torch.cat(
        [
            (factors.coeff_in[part] @ factors.basis[part]).flatten(1).to(weight.dtype)
            @ weight.flatten(1).T
            for part in parts_of_bases(weight, len(factors.basis))
        ]
    )
    terms = factors.coeff_in.shape[2]
    inputs = factors.coeff_in.mT.flatten(0, 1)
    kernels = factors.basis.flatten(0, 1)
    products = (inputs @ inputs.T) * (kernels @ kernels.T)
    gram = products.unflatten(0, (-1, terms)).unflatten(2, (-1, terms)).sum((1, 3))
    return Equations(gram=gram[None], right=right.double()[None])


def _joined(coeff_out: Tensor | None, inner: Tensor | None, right: Tensor) -> Equations:
    """Return the equations of U or B. inner: the other of them as rows `[R, L, ...]`, None for
    whole bases; right: `[R, L, columns]`."""
    terms = right.shape[1]
    if coeff_out is None:
        if inner is None:
            return Equations(gram=torch.ones_like(right[:, :, :1]), right=right)
        return Equations(gram=inner @ inner.mT, right=right)
    outer = coeff_out.T @ coeff_out
    if inner is None:
        return Equations(gram=outer[None], right=right.flatten(0, 1)[None])
    rows = inner.flatten(0, 1)
    outer = outer.repeat_interleave(terms, 0).repeat_interleave(terms, 1)
    return Equations(gram=(outer * (rows @ rows.T))[None], right=right.flatten(0, 1)[None])
