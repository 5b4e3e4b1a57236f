"""A ReLU that keeps one bit of each number for the backward pass."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from quantlab import backend
from quantlab.autograd import apply
from quantlab.sparse.batch_innermost import empty, flat, is_batch_innermost, memory
from quantlab.sparse.hold_back import hold_back


class CompactReLU(nn.Module):
    """y = max(x, 0), dL/dx = dL/dy except where x <= 0. Elsewhere than on the CPU it is torch's.

    torch's own keeps y: four bytes of each number, unless the next layer needs y anyway.

    inplace: x becomes y.
    """

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        if torch.is_grad_enabled() and x.device.type == "cpu":
            return apply(_CompactReLU, x, self.inplace)
        return F.relu(x, self.inplace)

    def extra_repr(self) -> str:
        """Return what printing shows."""
        return f"inplace={self.inplace}"


class _CompactReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, inplace: bool) -> Tensor:
        is_passing = (x <= 0).logical_not_()  # as in torch, NaN passes
        codes = flat(is_passing.view(torch.uint8))
        ctx.save_for_backward(torch.from_numpy(backend.pack(codes, 1)))
        ctx.is_batch_innermost = is_batch_innermost(is_passing)
        if not inplace:
            return F.relu(x)
        ctx.mark_dirty(x)
        return x.relu_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor, None]:
        (bits,) = ctx.saved_tensors
        codes = backend.unpack(bits.numpy(), 1, num_codes=y_gradient.numel())
        is_passing = empty(
            y_gradient.shape, y_gradient.dtype, batch_innermost=ctx.is_batch_innermost
        )
        memory(is_passing).copy_(torch.from_numpy(codes.view(np.bool_)))
        return hold_back(y_gradient, is_passing, out=is_passing), None
