"""Operations on values as modules, where torch.nn has none: what stands in a traced graph for
`a + b`, `torch.cat` and the like.

    Add Subtract Multiply Divide MatMul             two tensors
    AddConstant SubtractFromConstant                a tensor and a number
    MultiplyConstant DivideByConstant
    Concat(dim) Stack(dim)                          any number of tensors
    Mean(dims, keepdim) Sum(dims, keepdim)          a tensor
    Negative Clamp(min, max) Pad(pad, mode, value)

Each computes what the function of its name computes, to the bit. None has parameters or state.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class WithConstant(Operation, ABC):
    """Base of the operations on a tensor and a number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def extra_repr(self) -> str:
        return f"{self.value}"


class AddConstant(WithConstant):
    """`x + value`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x + self.value


class SubtractFromConstant(WithConstant):
    """`value - x`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return self.value - x


class MultiplyConstant(WithConstant):
    """`x * value`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x * self.value


class DivideByConstant(WithConstant):
    """`x / value`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x / self.value


class Negative(Operation):
    """`-x`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return -x


class Clamp(Operation):
    """`x` between two numbers; None: no end there."""

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        super().__init__()
        self.min, self.max = min, max

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return torch.clamp(x, self.min, self.max)

    def extra_repr(self) -> str:
        return f"min={self.min}, max={self.max}"


class Pad(Operation):
    """`x` with more around it, or less: see `torch.nn.functional.pad`."""

    def __init__(
        self, pad: tuple[int, ...], mode: str = "constant", value: float | None = None
    ) -> None:
        super().__init__()
        self.pad, self.mode, self.value = pad, mode, value

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return functional.pad(x, self.pad, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"pad={self.pad}, mode='{self.mode}', value={self.value}"


class Concat(Operation):
    """The tensors one after the other along `dim`."""

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *tensors: Tensor) -> Tensor:
        return torch.cat(tensors, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Stack(Operation):
    """The tensors one after the other along a new axis `dim`."""

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *tensors: Tensor) -> Tensor:
        return torch.stack(tensors, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Reduction(Operation, ABC):
    """Base of what is made over `dims`, which stay as axes of length 1 if `keepdim`; None: over
    all."""

    def __init__(self, dims: int | tuple[int, ...] | None = None, keepdim: bool = False) -> None:
        super().__init__()
        self.dims = (dims,) if isinstance(dims, int) else dims
        self.keepdim = keepdim

    def extra_repr(self) -> str:
        return f"dims={self.dims}, keepdim={self.keepdim}"


class Mean(Reduction):
    """The mean over `dims`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x.mean() if self.dims is None else x.mean(self.dims, self.keepdim)


class Sum(Reduction):
    """The sum over `dims`."""

    def forward(self, *tensors: Tensor) -> Tensor:
        (x,) = tensors
        return x.sum() if self.dims is None else x.sum(self.dims, self.keepdim)
