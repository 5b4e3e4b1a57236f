from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from quantlab.autograd import apply


class Tripled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        return x * factor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return 3 * grad, None


def test_runs_forward_and_backward() -> None:
    x = torch.ones(2, requires_grad=True)
    y = apply(Tripled, x, 5.0)
    y.sum().backward()
    assert y.tolist() == [5.0, 5.0]
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]
