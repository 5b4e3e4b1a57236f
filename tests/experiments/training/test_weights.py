"""What ranks share of a network."""

import torch
from torch import Tensor, nn

from experiments.processes.communicator import Communicator
from experiments.training.weights import share_state
from quantlab.algorithms.ste import SteConfig
from tests.rank_threads import on_ranks


def network_of_many_types(value: int) -> nn.Sequential:
    """Parameters, some of them shared, and buffers of many types; a quantizer that is on or off."""
    conv, norm = nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4)
    conv.weight.data = conv.weight.data.contiguous(memory_format=torch.channels_last)
    quantizer = SteConfig(num_bits=4).quantizer("weight", conv.weight)
    quantizer.set_enabled(bool(value))
    tied = nn.Conv2d(3, 4, 2)
    tied.weight = conv.weight
    network = nn.Sequential(conv, norm, tied, nn.Linear(3, 1).double(), quantizer)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.dtype != torch.bool:
            tensor.data.copy_(torch.arange(tensor.numel()).view(tensor.shape) * (value + 1))
    network.register_buffer("unsaved", torch.full((3,), value), persistent=False)
    return network


def test_all_ranks_have_the_state_of_the_first_one() -> None:
    def share(rank: Communicator) -> tuple[list[Tensor], bool, bool]:
        network = network_of_many_types(1 - rank.rank)
        share_state(network, rank)
        conv, quantizer = network[0], network[4]
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        tensors = [*network.parameters(), *network.buffers()]
        return tensors, quantizer.is_enabled, conv.weight is network[2].weight

    (first, *flags), (second, *others) = on_ranks(2, share)
    wanted = network_of_many_types(1)
    for a, b, c in zip(first, second, [*wanted.parameters(), *wanted.buffers()], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
        assert a.dtype == b.dtype == c.dtype
    assert flags == others == [True, True]
