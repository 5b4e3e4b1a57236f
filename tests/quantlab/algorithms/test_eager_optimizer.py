"""Optimizers for networks that are not compiled compute what torch's own do."""

from typing import Any

import pytest
import torch
from torch import nn, optim

from quantlab.algorithms.eager_optimizer import eager

SETTINGS: dict[type[optim.Optimizer], list[dict[str, Any]]] = {
    optim.SGD: [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "foreach": True}],
    optim.Adam: [{}, {"amsgrad": True, "fused": True}],
}
# They need a closure, sparse gradients, and matrices alone.
OTHERS = {optim.Optimizer, optim.LBFGS, optim.SparseAdam, optim.Muon}
CASES = [
    (cls, settings)
    for cls in vars(optim).values()
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls not in OTHERS
    for settings in SETTINGS.get(cls, [{}])
]


def train(optimizer: optim.Optimizer, network: nn.Module, num_steps: int) -> None:
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(num_steps):
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 3)


@pytest.mark.parametrize(("cls", "settings"), CASES)
def test_steps_and_state_are_the_same(cls: type[optim.Optimizer], settings: dict[str, Any]) -> None:
    own, torchs = network(), network()
    ours = eager(cls)(own.parameters(), lr=0.1, **settings)
    theirs = cls(torchs.parameters(), lr=0.1, **settings)
    train(ours, own, 3)
    train(theirs, torchs, 3)
    assert all(map(torch.equal, own.parameters(), torchs.parameters()))
    assert str(ours.state_dict()) == str(theirs.state_dict())
    resumed = eager(cls)(own.parameters(), lr=0.2, **settings)
    resumed.load_state_dict(theirs.state_dict())
    assert str(resumed.state_dict()) == str(theirs.state_dict())


@pytest.mark.parametrize("defaults", [{}, {"differentiable": False}, {"differentiable": True}])
def test_only_differentiable_steps_have_gradients(defaults: dict[str, Any]) -> None:
    seen = []

    class Watched(optim.Optimizer):
        def step(self, closure: Any = None) -> None:
            seen.append(torch.is_grad_enabled())

    eager(Watched)(network().parameters(), defaults).step()
    assert seen == [defaults.get("differentiable", False)]
    assert torch.is_grad_enabled()


def test_it_is_still_that_optimizer() -> None:
    found = eager(optim.Adam)
    assert issubclass(found, optim.Adam)
    assert (found.__name__, found.__module__) == (optim.Adam.__name__, optim.Adam.__module__)


def test_hooks_and_schedules_see_its_steps() -> None:
    net, seen = network(), []
    optimizer = eager(optim.SGD)(net.parameters(), lr=0.1)
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    schedule = optim.lr_scheduler.StepLR(optimizer, 1)
    train(optimizer, net, 2)
    schedule.step()
    assert len(seen) == 2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
