"""A network put in the place of another one, for whoever holds it."""

import copy

import torch
from torch import nn

from quantlab.compression.in_place import put_in_place
from quantlab.graphs.trace import trace


def test_who_holds_the_network_has_the_other() -> None:
    x = torch.rand(2, 4)
    network, other = nn.Sequential(nn.Linear(4, 3)), nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    holder, graph = nn.ModuleList([network]), trace(other, x)
    network.register_forward_hook(lambda *_: torch.zeros(0))
    put_in_place(network, graph)
    assert torch.equal(holder[0](x), other(x))
    assert torch.equal(copy.deepcopy(network)(x), other(x))
    assert torch.equal(trace(network, x)(x), other(x))
    assert list(network.state_dict()) == list(other.state_dict())
    assert not network.eval().training
