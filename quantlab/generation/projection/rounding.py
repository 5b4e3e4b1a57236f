"""A factor on a grid: the codes and the scale of the least squared error in its equations.

With G = C^T C the error of rows X = s Q is |C (X* - s Q)|^2 + const, X* the solution. The codes are
found from the last row to the first, each of which makes up for the errors of those before it
(error feedback; E. Frantar et al., GPTQ, 2023, arXiv:2210.17323, section 3; the nearest plane of
L. Babai, 1986):

    q_j = level nearest to (x*_j + sum_{k > j} C_jk / C_jj (x*_k - s q_k)) / s

Then sweeps take for each code the level that is best for all others, which never adds to the
error, and for the scale the least-squares one of the codes. Several scales are tried, and the best
is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.generation.projection.equations import Equations
from quantlab.numerics.levels import nearest_level

_RIDGE = 1e-6
_SWEEPS = 1
# Elements of the candidates that are rounded together: a part of the weight's, or so many.
_SHARE = 8
_AT_ONCE = 2**16


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """codes: in the shape of the rows; scale, loss: scalars; all float64."""

    codes: Tensor
    scale: Tensor
    loss: Tensor


def rounded(
    equations: Equations, rows: Tensor, levels: Sequence[int], scales: Tensor, num_weights: int
) -> Rounded:
    """Return the best codes of rows that solve the equations, `[N, rows, columns]`.

    levels: codes in rising order. scales: those to start from, `[K]`. num_weights: elements of the
    weight, which bound the memory.
    """
    best: Rounded | None = None
    most = max(_AT_ONCE, num_weights // _SHARE)
    for some in scales.split(max(1, most // rows.numel())):
        size = some.view(-1, 1, 1, 1)
        codes = with_feedback(equations.gram, rows, levels, size)
        size = _best_scale(equations, codes, size)
        for _ in range(_SWEEPS):
            codes = swept(equations, codes, levels, size)
            size = _best_scale(equations, codes, size)
        losses = equations.loss(codes * size)
        index = losses.argmin()
        if best is None or bool(losses[index] < best.loss):
            best = Rounded(
                codes=codes[index].clone(), scale=size.view(-1)[index], loss=losses[index]
            )
    assert best is not None
    return best


def nearest(rows: Tensor, levels: Sequence[int], scales: Tensor) -> Rounded:
    """Return the codes of the levels nearest to each element, at the scale of the least squared
    error. loss: that error."""
    best = None
    for scale in scales:
        codes = nearest_level(rows / scale, levels)
        loss = (codes * scale - rows).square().sum()
        if best is None or bool(loss < best.loss):
            best = Rounded(codes=codes, scale=scale, loss=loss)
    assert best is not None
    return best


def scale_grid(rows: Tensor, levels: Sequence[int], count: int = 10) -> Tensor:
    """Return scales from one that clips all but a tenth of the range to one that clips nothing."""
    widest = rows.abs().max() / max(abs(levels[0]), abs(levels[-1]))
    exponents = torch.linspace(-0.9, 0.05, count, dtype=rows.dtype, device=rows.device)
    return torch.where(widest > 0, widest, 1.0) * 10.0**exponents


def with_feedback(gram: Tensor, rows: Tensor, levels: Sequence[int], scale: Tensor) -> Tensor:
    """Return codes `[K, N, rows, columns]` of `[N, rows, columns]`, at scales `[K, 1, 1, 1]`."""
    diagonal = torch.diagonal(gram, dim1=1, dim2=2)
    order = diagonal.mean(0).argsort()  # the last one comes first: what matters most
    ridge = (_RIDGE * diagonal.mean(1)).clamp(min=torch.finfo(gram.dtype).tiny)
    damped = gram + torch.diag_embed(ridge[:, None].expand_as(diagonal))
    factor = torch.linalg.cholesky(damped[:, order][:, :, order], upper=True)
    factor = factor / torch.diagonal(factor, dim1=1, dim2=2)[:, :, None]
    errors = rows[:, order].repeat(len(scale), 1, 1, 1)  # of rows that have no code yet: wanted
    codes = torch.empty_like(errors)
    places = order.tolist()
    for j in range(rows.shape[1] - 1, -1, -1):
        wanted = errors[:, :, j : j + 1]
        target = wanted + factor[:, j : j + 1, j + 1 :] @ errors[:, :, j + 1 :]
        found = nearest_level(target / scale, levels)
        codes[:, :, places[j]] = found[:, :, 0]
        wanted -= found * scale
    return codes


def swept(equations: Equations, codes: Tensor, levels: Sequence[int], scale: Tensor) -> Tensor:
    """Return codes each of which is the best one beside the others, row after row."""
    codes = codes.clone()
    tiny = torch.finfo(codes.dtype).tiny
    diagonal = torch.diagonal(equations.gram, dim1=1, dim2=2).clamp(min=tiny)
    for j in range(codes.shape[2]):
        row = slice(j, j + 1)
        slope = equations.gram[:, row] @ codes * scale - equations.right[:, row]
        step = slope / (diagonal[:, row, None] * scale)
        codes[:, :, row] = nearest_level(codes[:, :, row] - step, levels)
    return codes


def _best_scale(equations: Equations, codes: Tensor, near: Tensor) -> Tensor:
    """Return the scales of the least error of codes, at most double or half those near."""
    product = (codes * equations.right).sum((1, 2, 3), keepdim=True)
    size = (equations.gram @ codes).mul_(codes).sum((1, 2, 3), keepdim=True)
    best = (product / size).nan_to_num(nan=0.0)
    return best.clamp(near / 2, near * 2)  # codes that cancel have any
