"""Scalars that are entropy-coded as well as can be: a uniform grid with a wider cell about zero,
each level at the mean of its cell, codes of the size of their entropy. Tables and means are free.
"""

import torch
from torch import Tensor

_SCALE_BYTES = 4
_OFFSETS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.8)  # from which part of a step a code is rounded away
_STEPS = 40


def scalar_error(weight: Tensor, nbytes: int) -> float:
    """Return the least relative error of a weight whose entropy fits in so many bytes."""
    budget = 8 * (nbytes - _SCALE_BYTES)
    return min(_error_at(weight.flatten().double(), offset, budget) for offset in _OFFSETS)


def _error_at(values: Tensor, offset: float, budget: int) -> float:
    low, high = 1e-3 * float(values.std()), 4 * float(values.abs().max())
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        if entropy(_codes(values, middle, offset)) > budget:
            low = middle
        else:
            high = middle
    codes = _codes(values, high, offset)
    _, index, counts = codes.unique(return_inverse=True, return_counts=True)
    means = torch.zeros(len(counts), dtype=values.dtype).index_add_(0, index, values) / counts
    return float((values - means[index]).norm() / values.norm())


def entropy(codes: Tensor) -> float:
    """Return the bits of all codes by their own frequencies."""
    counts = codes.unique(return_counts=True)[1].double()
    return float(-(counts * (counts / counts.sum()).log2()).sum())


def _codes(values: Tensor, step: float, offset: float) -> Tensor:
    return values.sign() * torch.floor(values.abs() / step + 1 - offset)
