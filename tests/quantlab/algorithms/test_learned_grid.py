"""How many operations a learned grid takes, and its least scale."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from quantlab.algorithms.learned_grid import learned_grid


class Counter(TorchDispatchMode):
    """Counts operations on tensors of so many elements."""

    def __init__(self, num_elements: int) -> None:
        super().__init__()
        self._num_elements = num_elements
        self.num_operations = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        tensors = [value for value in args if isinstance(value, Tensor)]
        self.num_operations += any(t.numel() == self._num_elements for t in tensors)
        return function(*args, **(kwargs or {}))


def cost(scale: Tensor) -> tuple[int, int, int]:
    """Operations forward and backward, and tensors kept for the backward pass."""
    x = torch.randn(40, requires_grad=True)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        if tensor.numel() == x.numel():
            kept.append(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, Counter(40) as forward:
        y = learned_grid(x, scale, quant_min=0, quant_max=15)
    grad = torch.ones(40)
    with Counter(40) as backward:
        torch.autograd.grad(y, x, grad)
    return forward.num_operations, backward.num_operations, len(kept)


@pytest.mark.parametrize(
    ("scale", "wanted"),
    [(torch.tensor(0.1), (6, 1, 1)), (nn.Parameter(torch.tensor(0.1)), (7, 3, 2))],
    ids=["fixed", "learned"],
)
def test_what_is_not_learned_costs_nothing(scale: Tensor, wanted: tuple[int, int, int]) -> None:
    assert cost(scale) == wanted


def test_the_least_scale_gets_no_gradient() -> None:
    scale = torch.tensor([0.1, 1.0, -1.0]).reshape(3, 1).requires_grad_()
    y = learned_grid(torch.full((3, 2), 100.0), scale, quant_min=-8, quant_max=7, min_scale=0.5)
    y.sum().backward()
    assert y[:, 0].tolist() == [3.5, 7.0, 3.5]
    assert scale.grad is not None
    assert scale.grad.flatten().tolist() == [0.0, 14.0, 0.0]


def test_an_offset_is_learned_beside_a_fixed_scale() -> None:
    scale, offset = torch.tensor(0.5), torch.tensor(-1.0, requires_grad=True)
    x = torch.tensor([-9.0, 0.0, 9.0])
    zero_point = torch.tensor(2, dtype=torch.int32)
    learned_grid(x, scale, offset, zero_point, quant_min=0, quant_max=7).sum().backward()
    assert offset.grad is not None
    assert offset.grad.item() == 2.0
