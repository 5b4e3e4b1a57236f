"""What each arithmetic does: products of a plan, and their gradients."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from quantlab.sparse.plan import Plan


class Kept(NamedTuple):
    """What waits for the backward pass. inputs: in some precision; scales: theirs, and others."""

    inputs: Tensor
    scales: tuple[float, ...] = ()


class Gradients(NamedTuple):
    """x_planes: of the inputs, times 1 / factor, in memory that is valid until this thread's next
    product. values: `[nnz]`. Either is None if it was not wanted."""

    x_planes: Tensor | None
    factor: float
    values: Tensor | None


class Arithmetic(ABC):
    """Numbers and sums of a layer's product. x, values and bias have the layer's type.

    plane_type: of the outputs' gradient in the kernels; float32 may be float64 there.
    """

    plane_type: ClassVar[torch.dtype]

    @abstractmethod
    def product(
        self, x: Tensor, values: Tensor, bias: Tensor | None, plan: Plan, out: Tensor
    ) -> tuple[Kept, float]:
        """Write a layer's outputs times 1 / factor, `[O, H', W', B]`, flat; return what the
        gradients need, and the factor.

        x: of the plan's shape; values `[nnz]` in the order of its pattern; bias `[O]`. Raises
        UsageError for numbers that the arithmetic does not take.
        """

    @abstractmethod
    def gradients(
        self,
        kept: Kept,
        values: Tensor,
        plan: Plan,
        y_gradient: Tensor,
        *,
        wants_x: bool,
        wants_values: bool,
    ) -> Gradients:
        """Return the gradients for that of the outputs, `[B, O, H', W']`, which may lie in the
        scratch memory `inputs`."""

    def drawn(self) -> Self:
        """Return the arithmetic of one call, with what this draws at random."""
        return self

    def compact(self) -> "Arithmetic":
        """Return the arithmetic that keeps no more than eight bits of each input."""
        return self
