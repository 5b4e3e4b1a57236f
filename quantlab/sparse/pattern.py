"""Which weights of a layer are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.sparse.stable_order import Key, stable_order


@dataclass(frozen=True, eq=False)
class Pattern:
    """Kept weights of a dense weight `shape`, `[O, I]` or `[O, I / groups, kH, kW]`.

    indices: `[nnz]`, int64: places in the flat dense weight, in the order of the values; each at
    most once. Zeros among the values are kept like any other.
    """

    shape: tuple[int, ...]
    indices: NDArray[np.int64]

    def __post_init__(self) -> None:
        size = prod(self.shape)
        if self.indices.ndim != 1 or self.indices.dtype != np.int64:
            raise UsageError(
                f"pattern: indices of {self.indices.dtype}{list(self.indices.shape)} given; "
                "int64 of [nnz] allowed"
            )
        outside = self.indices[(self.indices < 0) | (self.indices >= size)]
        if len(outside):
            raise UsageError(f"pattern: index {outside[0]} given; 0..{size - 1} allowed")
        ordered = np.sort(self.indices)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise UsageError(f"pattern: index {twice[0]} given twice")

    @classmethod
    def of_mask(cls, mask: Tensor) -> "Pattern":
        """Return the pattern of a mask's nonzero elements."""
        flat = mask.detach().reshape(-1).cpu().numpy()
        return cls(tuple(mask.shape), np.flatnonzero(flat).astype(np.int64))

    @property
    def num_values(self) -> int:
        """The number of kept weights, nnz."""
        return len(self.indices)

    @property
    def sparsity(self) -> float:
        """The part of the dense weight that is not kept; 0 for an empty one."""
        size = prod(self.shape)
        return 1 - self.num_values / size if size else 0.0

    def mask(self) -> Tensor:
        """Return the mask, bool of `shape`."""
        return self.scatter(torch.ones(self.num_values, dtype=torch.bool))

    def gather(self, dense: Tensor) -> Tensor:
        """Return the kept elements of a dense tensor, `[nnz]`. Raises UsageError."""
        if tuple(dense.shape) != self.shape:
            raise UsageError(
                f"pattern: a tensor of {list(dense.shape)} given; {list(self.shape)} allowed"
            )
        return dense.reshape(-1)[torch.from_numpy(self.indices)]

    def scatter(self, values: Tensor) -> Tensor:
        """Return the dense tensor that has the values `[nnz]` and zeros. Raises UsageError."""
        if tuple(values.shape) != (self.num_values,):
            raise UsageError(
                f"pattern: values of {list(values.shape)} given; [{self.num_values}] allowed"
            )
        dense = values.new_zeros(prod(self.shape))
        dense[torch.from_numpy(self.indices)] = values
        return dense.reshape(self.shape)

    def places_of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where each of some indices, all of them the pattern's, is among its own."""
        ranks = np.argsort(self.indices)
        return ranks[np.searchsorted(self.indices[ranks], indices)]

    def sorted_by(self, keys: Sequence[Key]) -> "Pattern":
        """Return the same weights in the order of keys, the last the most important."""
        return Pattern(self.shape, self.indices[stable_order(keys)])
