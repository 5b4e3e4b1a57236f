"""Factors of the same weight, and how the size of each term is split among them.

V_r t, U_r G / t and G^-1 B_r make the same weight for any number t and any invertible G. Here the
columns of U_r are orthogonal and so are the rows of B_r. The factors of a term have a root mean
square of 1 but for one factor, which has the size of the term and of its parts: the one of the most
bits. Or all have the same.
"""

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.spec import FactorName

_LEAST = 1e-150


def gauged(factors: Factors, sized: FactorName | None = None) -> Factors:
    """Return factors of the same weight. sized: which of them has the size of terms, None: each a
    part. B is `[R, L, S]`."""
    coeff_out, coeff_in, basis = factors.coeff_out, factors.coeff_in, factors.basis
    if coeff_in is not None:
        coeff_in, basis = _orthogonal(coeff_in, basis, sized)
    columns = {"coeff_out": None if coeff_out is None else coeff_out.T, "coeff_in": coeff_in}
    parts = {name: part for name, part in (columns | {"basis": basis}).items() if part is not None}
    if len(parts) == 1:
        return factors
    sizes = {name: _size(part) for name, part in parts.items()}
    whole = torch.stack(list(sizes.values())).log().sum(0).exp()
    share = whole ** (1 / len(parts)) if sized not in parts else torch.ones_like(whole)
    for name, part in parts.items():
        wanted = whole if name == sized else share
        parts[name] = part * (wanted / sizes[name]).view(-1, *[1] * (part.ndim - 1))
    return Factors(
        coeff_out=None if coeff_out is None else parts["coeff_out"].T,
        coeff_in=parts.get("coeff_in"),
        basis=parts["basis"],
    )


def _size(part: Tensor) -> Tensor:
    """Return the root mean square of what belongs to each term, `[R]`."""
    return part.flatten(1).square().mean(1).sqrt().clamp(min=_LEAST)


def _orthogonal(coeff_in: Tensor, basis: Tensor, sized: FactorName | None) -> tuple[Tensor, Tensor]:
    """Return U and B by the singular values of each U_r B_r."""
    left, inner = torch.linalg.qr(coeff_in)
    right, outer = torch.linalg.qr(basis.mT)
    u, s, vh = torch.linalg.svd(inner @ outer.mT)
    power = {"basis": 0.0, "coeff_in": 1.0}.get(sized or "", 0.5)
    s = s.clamp(min=_LEAST)
    terms = s[:, None, :]
    return left @ (u * terms**power), (s ** (1 - power))[:, :, None] * (vh @ right.mT)
