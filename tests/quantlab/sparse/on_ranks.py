"""What ranks of other masks do together: run by `tests.ranks.run_on_ranks`."""

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from experiments.processes.communicator import TorchDistributed
from quantlab.sparse import SparseLinear, hold_zeros


def sparse_steps(communicator: TorchDistributed) -> dict[str, Tensor]:
    """Train a dense layer whose zeros are held and a sparse layer, with other masks on each rank
    and plans for these; return what becomes of them."""
    torch.manual_seed(communicator.rank)
    dense = nn.Linear(6, 5)
    hold_zeros(dense, torch.rand(5, 6) < 0.5)
    mask = torch.arange(40).view(8, 5).roll(communicator.rank) % 4 == 0
    sparse = SparseLinear.from_dense(nn.Linear(5, 8), mask)
    x = torch.randn(9, 6)
    sparse(dense(x))
    own = {"own zeros": dense.weight == 0, "own indices": sparse.indices.clone()}
    net = DistributedDataParallel(nn.Sequential(dense, sparse))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
    ones = torch.ones(9, 5)
    return own | {
        "held zeros": dense.weight == 0,
        "weight": dense.weight.detach(),
        "indices": sparse.indices,
        "dense weight": sparse.dense_weight().detach(),
        "outputs": sparse(ones).detach(),
        "dense outputs": sparse.to_dense()(ones).detach(),
    }
