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


class CompactReLU(nn.Module):
    """y = max(x, 0), dL/dx = dL/dy where x > 0, of tensors on the CPU.

    torch's own keeps y: four bytes of each number, unless the next layer needs y anyway.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return apply(_CompactReLU, x) if torch.is_grad_enabled() else F.relu(x)


class _CompactReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        is_positive = (x > 0).contiguous().view(torch.uint8).reshape(-1)
        ctx.save_for_backward(torch.from_numpy(backend.pack(is_positive.numpy(), 1)))
        return F.relu(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> Tensor:
        (bits,) = ctx.saved_tensors
        codes = backend.unpack(bits.numpy(), 1, num_codes=y_gradient.numel())
        is_positive = torch.from_numpy(codes.view(np.bool_)).reshape(y_gradient.shape)
        return y_gradient * is_positive
