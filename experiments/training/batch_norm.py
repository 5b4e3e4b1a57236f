"""Running statistics of batch normalization under several processes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from experiments.processes.communicator import Communicator


def running_statistics(network: nn.Module) -> list[str]:
    """Return the names of all running means and variances in the network's state."""
    return [
        f"{prefix}.{name}" if prefix else name
        for prefix, module in network.named_modules(remove_duplicate=False)
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name in ("running_mean", "running_var")
        if getattr(module, name) is not None
    ]


@torch.no_grad()
def can_train_on(network: nn.Module, inputs: Tensor) -> bool:
    """Return whether all batch norms of a network find more than one number of each channel in a
    batch of this size. Leaves the network training, with other running statistics."""
    try:
        network.train()(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        return False
    return True


def average_running_statistics(
    network: nn.Module, communicator: Communicator, averages: Mapping[str, Tensor] | None = None
) -> None:
    """Give all ranks the mean of their running means and variances, so that they hold one
    network. Each rank normalizes its own batches by their own statistics.

    averages: a second state of the same network, its moving average, treated alike."""
    if communicator.size == 1:
        return
    names = running_statistics(network)
    states = [network.state_dict(), *([] if averages is None else [averages])]
    buffers = [state[name] for state in states for name in names]
    if not buffers:
        return
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    mean = communicator.all_reduce(flat) / communicator.size
    for buffer, piece in zip(buffers, mean.split([b.numel() for b in buffers]), strict=True):
        buffer.copy_(piece.view_as(buffer))
