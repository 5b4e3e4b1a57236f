"""Operations on values as modules, where torch.nn has none: what stands in a traced graph for
`a + b`, `torch.cat` and the like.

    Add Subtract Multiply Divide MatMul     two tensors
    AddConstant MultiplyConstant            a tensor and a number
    Concat(dim)                             any number of tensors
    Mean(dims, keepdim)                     a tensor

Each computes what the function of its name computes, to the bit. None has parameters or state.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Operation(nn.Module, ABC):
    """Base of the operations."""

    @abstractmethod
    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the result."""


class Add(Operation):
    """`left + right`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        left, right = tensors
        return left + right


class Subtract(Operation):
    """`left - right`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        left, right = tensors
        return left - right


class Multiply(Operation):
    """`left * right`, element by element."""

    def forward(self, *tensors: Tensor) -> Tensor:
        left, right = tensors
        return left * right


class Divide(Operation):
    """`left / right`, element by element."""

    def forward(self, *tensors: Tensor) -> Tensor:
        left, right = tensors
        return left / right


class MatMul(Operation):
    """`left @ right`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        left, right = tensors
        return left @ right


class AddConstant(Operation):
    """`x + value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x + self.value

    def extra_repr(self) -> str:
        return f"{self.value}"


class MultiplyConstant(Operation):
    """`x * value`."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x * self.value

    def extra_repr(self) -> str:
        return f"{self.value}"


class Concat(Operation):
    """The tensors one after the other along `dim`."""

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *tensors: Tensor) -> Tensor:
        return torch.cat(tensors, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Mean(Operation):
    """The mean over `dims`, which stay as axes of length 1 if `keepdim`; None: over all."""

    def __init__(self, dims: int | tuple[int, ...] | None = None, keepdim: bool = False) -> None:
        super().__init__()
        self.dims = (dims,) if isinstance(dims, int) else dims
        self.keepdim = keepdim

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x.mean() if self.dims is None else x.mean(self.dims, self.keepdim)

    def extra_repr(self) -> str:
        return f"dims={self.dims}, keepdim={self.keepdim}"
