"""Running statistics of several ranks against their mean in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.processes.communicator import Communicator, Single
from experiments.training.batch_norm import average_running_statistics
from tests.rank_threads import on_ranks

STATISTICS = [f"{name}.running_{kind}" for name in ("0", "2.0", "3") for kind in ("mean", "var")]


def network_of(rank: int) -> nn.Module:
    """Three kinds of batch norm with the statistics of `rank`, and one that has none. The higher
    the rank, the more batches it has seen."""
    network = nn.Sequential(
        nn.BatchNorm1d(3),
        nn.Linear(3, 3),
        nn.Sequential(nn.BatchNorm2d(5)),
        nn.BatchNorm3d(1),
        nn.BatchNorm1d(4, track_running_stats=False),
    )
    generator = torch.Generator().manual_seed(rank)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator))
            else:
                tensor.fill_(10**rank)
    return network


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def averaged(communicator: Communicator) -> dict[str, Tensor]:
    network = network_of(communicator.rank)
    places = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    average_running_statistics(network, communicator)
    assert places == {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    return state(network)


@pytest.mark.parametrize("num_ranks", [2, 3, 5])
def test_all_ranks_hold_the_mean_in_which_each_counts_the_same(num_ranks: int) -> None:
    found = on_ranks(num_ranks, averaged)
    before = [state(network_of(rank)) for rank in range(num_ranks)]
    for name in STATISTICS:
        mean = np.mean([entry[name].double().numpy() for entry in before], axis=0)
        for rank in range(num_ranks):
            np.testing.assert_allclose(found[rank][name].numpy(), mean, rtol=1e-6)
            assert torch.equal(found[rank][name], found[0][name])


def test_all_else_stays_that_of_the_rank() -> None:
    for rank, found in enumerate(on_ranks(2, averaged)):
        before = state(network_of(rank))
        others = before.keys() - set(STATISTICS)
        assert {"1.weight", "0.bias", "4.weight"} <= others
        for name in others:
            assert torch.equal(found[name], before[name]), name


def test_a_second_state_is_averaged_alike() -> None:
    def of_both(communicator: Communicator) -> dict[str, dict[str, Tensor]]:
        network = network_of(communicator.rank)
        averages = state(network_of(communicator.rank + 10))
        average_running_statistics(network, communicator, averages)
        return {"network": state(network), "averages": averages}

    found = on_ranks(2, of_both)
    for kind, seeds in {"network": (0, 1), "averages": (10, 11)}.items():
        before = [state(network_of(seed)) for seed in seeds]
        for rank in range(2):
            for name, tensor in found[rank][kind].items():
                mean = (before[0][name].double() + before[1][name].double()) / 2
                expected = mean if name in STATISTICS else before[rank][name].double()
                torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=0.0)


def test_equal_statistics_stay_equal_to_the_bit() -> None:
    def of_rank_7(communicator: Communicator) -> dict[str, Tensor]:
        network = network_of(7)
        average_running_statistics(network, communicator)
        return state(network)

    before = state(network_of(7))
    for found in on_ranks(4, of_rank_7):
        assert all(torch.equal(found[name], before[name]) for name in STATISTICS)


def test_alone_nothing_changes() -> None:
    network = network_of(1)
    average_running_statistics(network, Single())
    before = state(network_of(1))
    assert all(torch.equal(tensor, before[name]) for name, tensor in state(network).items())


def test_a_network_without_batch_norm() -> None:
    def weights(communicator: Communicator) -> Tensor:
        network = nn.Linear(2, 2)
        nn.init.constant_(network.weight, communicator.rank)
        average_running_statistics(network, communicator)
        return network.weight.detach()

    assert [weight.unique().tolist() for weight in on_ranks(2, weights)] == [[0.0], [1.0]]
