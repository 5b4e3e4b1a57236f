"""What ranks of other masks do together: run by `tests.ranks.run_on_ranks`."""

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from experiments.processes.communicator import TorchDistributed
from quantlab.sparse import hold_zeros


def gradients_and_zeros(communicator: TorchDistributed) -> dict[str, Tensor]:
    """Return what a step makes of a dense layer whose zeros are held, other ones on each rank."""
    torch.manual_seed(communicator.rank)
    dense = nn.Linear(6, 5)
    hold_zeros(dense, torch.rand(5, 6) < 0.5)
    own_zeros = dense.weight == 0
    net = DistributedDataParallel(dense)
    before = dense.weight == 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(4, 6)).square().sum().backward()
        optimizer.step()
    return {
        "zeros before": before,
        "zeros": dense.weight == 0,
        "weight": dense.weight.detach(),
        "own zeros": own_zeros,
    }
