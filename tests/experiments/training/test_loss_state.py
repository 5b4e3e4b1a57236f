"""Losses with something of their own, beside a network that they may know."""

import torch
from torch import Tensor, nn

from experiments.training.loss_state import load_own_state, own_parameters, own_state


class Annealed(nn.Module):
    """Counts its calls, learns a weight, and knows the network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("count", torch.zeros(()))
        self.weight = nn.Parameter(torch.ones(2))
        self.fixed = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs * self.weight).sum()


def test_what_is_its_own() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    loss = Annealed(network)
    assert [id(p) for p in own_parameters(loss, network)] == [id(loss.weight)]
    assert sorted(own_state(loss, network)) == ["count", "fixed", "weight"]
    assert own_parameters(nn.CrossEntropyLoss(), network) == []
    assert own_state(nn.CrossEntropyLoss(), network) == {}


def test_round_trip_leaves_the_network_alone() -> None:
    network = nn.Linear(2, 2)
    loss, other = Annealed(network), Annealed(network)
    loss.count += 3
    with torch.no_grad():
        loss.weight *= 2
    before = network.weight.clone()
    load_own_state(other, network, own_state(loss, network))
    assert float(other.count) == 3
    assert other.weight.tolist() == [2.0, 2.0]
    assert torch.equal(network.weight, before)
