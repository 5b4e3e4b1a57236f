from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import Function

from quantlab.autograd import apply, uncompiled


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


@uncompiled
def kernel(x: Tensor) -> Tensor:
    """Triple; what the compiler traces would return itself."""
    return x if torch.compiler.is_compiling() else 3 * x


# torch's own, where the compiler resumes after such a call
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_compiler_calls_kernels_as_they_are() -> None:
    def network(x: Tensor) -> Tensor:
        return kernel(x + 1) + 1

    x = torch.zeros(2, requires_grad=True)
    torch.compiler.reset()
    compiled = torch.compile(network, backend="eager")
    for y in (network(x), compiled(x), compiled(x)):
        assert y.tolist() == [4.0, 4.0]
    compiled(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]
