"""The finder of what would wait for a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function

from quantlab.algorithms.eager_optimizer import eager
from quantlab.autograd import apply
from tests.waiting import DEVICE, Waited, no_waiting

WAITING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 0),
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "int": lambda x: int(x.sum()),
    "float": lambda x: float(x.sum()),
    "format": lambda x: f"{x.sum():.2f}",
    "in": lambda x: 3.0 in x,
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "mask": lambda x: x[x > 0],
    "mask of rows": lambda x: x[:, x[0] > 0],
    "assignment by a mask": lambda x: x.__setitem__(x > 0, 1.0),
    "unique": lambda x: x.unique(),
    "unique_consecutive": lambda x: x.unique_consecutive(),
    "equal": lambda x: torch.equal(x, x + 1),
    "allclose": lambda x: torch.allclose(x, x),
    "bincount": lambda x: x.long().abs().flatten().bincount(),
    "repeat_interleave": lambda x: torch.repeat_interleave(x[0].long().abs()),
    "inverse": lambda x: torch.linalg.inv(x @ x.T),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "to by name": lambda x: x.to(device="cpu", dtype=torch.float64),
    "to another": lambda x: x.to(torch.zeros(1)),
    "numpy": lambda x: x.numpy(),
    "asarray": lambda x: np.asarray(x),
    "tolist": lambda x: x.tolist(),
    "copy_ to the processor": lambda x: torch.zeros(2, 3).copy_(x),
    "copy_ to the device": lambda x: x.copy_(torch.zeros(2, 3)),
    "to the device": lambda x: torch.zeros(2, 3).to(x.device),
    "to another there": lambda x: torch.zeros(2, 3).to(x),
    "tensor": lambda x: torch.tensor(0.5, device=x.device),
    "as_tensor": lambda x: torch.as_tensor([0.5], device=x.device),
    "new_tensor": lambda x: x.new_tensor([0.5]),
    "list of places": lambda x: x[:, [0, 1]],
    "places of the processor": lambda x: x[torch.tensor([0, 1])],
    "scalar of the device": lambda x: torch.full((2,), x[0, 0]),
    "alpha of the device": lambda x: x.add(x, alpha=x[0, 0]),
}

ORDINARY: dict[str, Callable[[Tensor], Any]] = {
    "arithmetic": lambda x: (x * 2 + x.mean()).clamp(0, 1).sum(),
    "type": lambda x: x.to(torch.float64),
    "same device": lambda x: x.to(x.device).to(x),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked_fill": lambda x: x.masked_fill(x > 0, 0.0),
    "made there": lambda x: x.copy_(torch.ones(2, 3, device=x.device)),
    "made like it": lambda x: x.copy_(torch.ones_like(x)),
    "new_zeros": lambda x: x.copy_(x.new_zeros(2, 3)),
    "drawn there": lambda x: x.copy_(
        torch.rand(2, 3, generator=torch.Generator(x.device), device=x.device)
    ),
    "gather": lambda x: x.gather(1, x.argmax(1, keepdim=True)),
    "places there": lambda x: x[torch.arange(2, device=x.device)],
    "slices": lambda x: x[0, 1:],
    "assignment of a number": lambda x: x.__setitem__((0, 1), 2.0),
    "assignment by places": lambda x: x.__setitem__(x[:, 0].argsort()[:1], 2.0),
    "own tensors": lambda x: float(torch.tensor([1.0, 2.0]).sum()) + torch.zeros(3).tolist()[0],
    "shape": lambda x: [len(x), x.numel(), x.shape, x.dtype, x.is_floating_point()],
    "copy of the processor's": lambda x: torch.zeros(2).copy_(torch.ones(2)).numpy(),
    "sort": lambda x: x.sort(1).values.cumsum(1).kthvalue(2).values,
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_raises(name: str) -> None:
    x = torch.randn(2, 3)
    WAITING[name](x.clone())  # runs without a GPU
    with no_waiting(), pytest.raises(Waited, match=rf": .*{Path(__file__).name}:\d+"):
        WAITING[name](x)


@pytest.mark.parametrize("name", ORDINARY)
def test_what_does_not_wait_computes_the_same(name: str) -> None:
    x = torch.randn(2, 3)
    given = x.clone()
    wanted = ORDINARY[name](x.clone())
    with no_waiting():
        found = ORDINARY[name](given)
    if isinstance(wanted, Tensor) and name != "drawn there":
        assert torch.equal(found, wanted)


class _Reading(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, read: Callable[[Tensor], object]) -> Tensor:
        ctx.read = read
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        ctx.read(grad.clone())
        return grad * 2, None


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_in_a_backward_pass_raises(name: str) -> None:
    x = torch.randn(2, 3, requires_grad=True)
    with no_waiting(), pytest.raises(Waited, match=rf": .*{Path(__file__).name}:\d+"):
        apply(_Reading, x, WAITING[name]).cos().sum().backward()


@pytest.mark.parametrize("name", ORDINARY)
def test_what_does_not_wait_in_a_backward_pass(name: str) -> None:
    x = torch.randn(2, 3, requires_grad=True)
    with no_waiting():
        apply(_Reading, x, ORDINARY[name]).cos().sum().backward()
    assert x.grad is not None


def test_a_step_of_torch_does_not_wait() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    inputs, classes = torch.randn(5, 2, 6, 6), torch.arange(5) % 3
    optimizer = eager(torch.optim.SGD)(network.parameters(), lr=0.1, momentum=0.9)
    with no_waiting():
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), classes).backward()
            optimizer.step()


def test_devices_are_told_apart() -> None:
    x = torch.zeros(2)
    with no_waiting():
        assert x.device == DEVICE == torch.zeros(2, device=x.device).device
        assert torch.zeros(2).device == torch.device("cpu") != DEVICE
        assert (x + 1).device == DEVICE
    assert x.device == torch.device("cpu")
