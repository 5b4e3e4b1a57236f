import copy

import torch
from torch import Tensor, fx, nn

from quantlab.graphs.leaves import is_leaf
from quantlab.graphs.skeleton import assemble


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.later = nn.Linear(2, 2)
        self.sooner = nn.Linear(2, 2)
        self.gain = nn.Parameter(torch.ones(2))
        self.register_buffer("kept", torch.zeros(2))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.plain = torch.ones(2)
        self.nothing = None
        self.register_module("none", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.later(self.sooner(x * self.gain + self.kept + self.scratch))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Sequential(nn.Linear(2, 2))
        self.inner = Inner()
        self.again = self.inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def assembled(network: nn.Module) -> fx.GraphModule:
    return assemble(network, fx.symbolic_trace(network).graph, is_leaf, {"one": torch.ones(1)})


def test_same_entries_in_the_same_order() -> None:
    network = Outer()
    gm = assembled(network)
    assert list(gm.state_dict()) == list(network.state_dict())
    assert [n for n, _ in gm.named_parameters()] == [n for n, _ in network.named_parameters()]
    assert all(a is b for a, b in zip(gm.parameters(), network.parameters(), strict=True))
    assert gm.inner.later is network.inner.later
    assert gm.again is gm.inner
    assert gm.inner is not network.inner
    assert gm.inner.plain is network.inner.plain
    assert gm.inner.scratch is network.inner.scratch
    assert gm.inner.none is None
    gm.load_state_dict(network.state_dict())
    assert type(gm).__name__ == "Outer"


def test_constants_move_but_are_not_saved() -> None:
    gm = assembled(Outer()).double()
    assert gm.one.dtype == torch.float64
    assert "one" not in gm.state_dict()


def test_modes_are_kept_module_by_module() -> None:
    network = Outer().train()
    network.inner.eval()
    network.inner.later.train()
    gm = assembled(network)
    modes = {n: m.training for n, m in gm.named_modules()}
    assert modes == {n: m.training for n, m in network.named_modules()}
    gm.eval()
    assert not network.inner.later.training  # leaves are shared
    assert network.training  # containers are not


def test_the_network_can_be_copied_whole() -> None:
    network = Outer()
    gm = copy.deepcopy(copy.deepcopy(assembled(network)))
    x = torch.randn(3, 2)
    assert torch.equal(gm(x), network(x))
    # torch.fx keeps one of several names of a module.
    assert set(gm.state_dict()) == {k for k in network.state_dict() if not k.startswith("again")}
    assert gm.inner.later is not network.inner.later
