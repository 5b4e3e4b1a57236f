"""Empirical variational Bayesian matrix factorization (EVBMF): the rank that a matrix has beneath
noise of unknown variance.

A matrix `[L, M]`, `L <= M`, is taken for `B A^T + noise`. Its singular values g are kept where

    g > sqrt(M sigma^2 (1 + t) (1 + alpha / t)),        alpha = L / M,

with t the root of `Phi(t) + Phi(t / alpha) = 0`, `Phi(z) = log(z + 1) / z - 1 / 2`, and shrunk to

    g / 2 (1 - (L + M) s / g^2 + sqrt((1 - (L + M) s / g^2)^2 - 4 L M s^2 / g^4)),    s = sigma^2.

The variance minimizes the free energy, which one-dimensional search finds between two bounds.

Source: Nakajima, Sugiyama, Babacan, Tomioka: Global analytic solution of fully-observed variational
Bayesian matrix factorization, JMLR 14 (2013).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError

Values = NDArray[np.float64]
_GRID = 65  # variances that the search begins with: the free energy may have several minima


@dataclass(frozen=True, kw_only=True)
class Evbmf:
    """singular_values: `[rank]`, shrunk, the largest first. noise_variance: of one element."""

    rank: int
    singular_values: Values
    noise_variance: float


def evbmf(matrix: Values) -> Evbmf:
    """Return the rank of a matrix of real numbers `[L, M]`, its shrunk singular values and the
    variance of the noise.

    Rank 0 says that nothing stands out from noise; so it is of a matrix of one row or column. Rows
    and columns of zeros, as pruning leaves, have no noise and do not count. Rounding errors of the
    matrix's type count as noise. The rank is less than `L M / (L + M)`, beyond which two factors
    have more elements than the matrix. Raises UsageError for what is no matrix, and for elements
    that are not finite.
    """
    _check(matrix)
    dense = _without_zeros(matrix.astype(np.float64))
    if not dense.size:
        return Evbmf(rank=0, singular_values=np.zeros(0), noise_variance=0.0)
    largest, shape = float(np.abs(dense).max()), (min(dense.shape), max(dense.shape))
    singular = np.linalg.svd(dense / largest, compute_uv=False).astype(np.float64)
    rounding = singular[0] * np.sqrt(shape[1]) * np.finfo(matrix.dtype).eps
    singular = np.maximum(singular, rounding)
    variance = _noise_variance(singular, shape)
    kept = singular[singular > np.sqrt(shape[1] * variance * _threshold(shape))]
    return Evbmf(
        rank=len(kept),
        singular_values=_shrunk(kept, variance, shape) * largest,
        noise_variance=variance * largest**2,
    )


def _check(matrix: Values) -> None:
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or not matrix.size:
        given = list(matrix.shape) if isinstance(matrix, np.ndarray) else type(matrix).__name__
        raise UsageError(f"matrix: {given} given, an array [L, M] of at least 1 element allowed")
    if matrix.dtype.kind != "f":
        raise UsageError(f"matrix: {matrix.dtype} given, an array of real numbers allowed")
    if not np.isfinite(matrix).all():
        bad = matrix[~np.isfinite(matrix)][0]
        raise UsageError(f"matrix: {bad} given, finite numbers allowed")


def _without_zeros(matrix: Values) -> Values:
    is_other = matrix != 0
    dense: Values = matrix[is_other.any(1)][:, is_other.any(0)]
    return dense


def _root(alpha: float) -> float:
    """Return t, which is 2.5129 for square matrices."""
    from scipy.optimize import brentq

    def excess(t: float) -> float:
        return float(np.log1p(t) / t + np.log1p(t / alpha) * alpha / t - 1)

    return float(brentq(excess, np.sqrt(alpha), 10 * np.sqrt(alpha), xtol=1e-15))


def _threshold(shape: tuple[int, int]) -> float:
    """Return the least `g^2 / (M sigma^2)` that is kept."""
    alpha = shape[0] / shape[1]
    t = _root(alpha)
    return (1 + t) * (1 + alpha / t)


def _noise_variance(singular: Values, shape: tuple[int, int]) -> float:
    from scipy.optimize import minimize_scalar

    rows, columns = shape
    alpha = rows / columns
    most_kept = int(np.ceil(rows / (1 + alpha))) - 1
    squares = singular**2
    low = max(
        squares[most_kept] / (columns * _threshold(shape)),
        squares[most_kept:].sum() / (columns * (rows - most_kept)),
    )
    high = squares.sum() / (rows * columns)
    if not low < high:
        return float(high)
    threshold = _threshold(shape)

    def energy(log_variance: float) -> float:
        return _free_energy(float(np.exp(log_variance)), squares, shape, threshold)

    grid = np.linspace(np.log(low), np.log(high), _GRID)
    best = int(np.argmin([energy(at) for at in grid]))
    between = grid[max(best - 1, 0)], grid[min(best + 1, _GRID - 1)]
    found = minimize_scalar(energy, bounds=between, method="bounded")
    return float(np.exp(found.x if found.fun < energy(grid[best]) else grid[best]))


def _free_energy(
    variance: float, squares: Values, shape: tuple[int, int], threshold: float
) -> float:
    """Return twice the free energy over M, up to a constant, at a variance of the noise."""
    rows, columns = shape
    alpha = rows / columns
    x = squares / (columns * variance)
    noise, kept = x[x <= threshold], x[x > threshold]
    t = _excess(kept, alpha)
    of_kept = kept - t + np.log((t + 1) / kept) + alpha * np.log(t / alpha + 1)
    return float((noise - np.log(noise)).sum() + of_kept.sum())


def _excess(x: Values, alpha: float) -> Values:
    """Return the t of which `x = (1 + t) (1 + alpha / t)`, the larger of two."""
    part = x - (1 + alpha)
    return (part + np.sqrt(np.maximum(part**2 - 4 * alpha, 0))) / 2


def _shrunk(kept: Values, variance: float, shape: tuple[int, int]) -> Values:
    rows, columns = shape
    squares = kept**2
    part = 1 - (rows + columns) * variance / squares
    inner = part**2 - 4 * rows * columns * variance**2 / squares**2
    return kept / 2 * (part + np.sqrt(np.maximum(inner, 0)))
