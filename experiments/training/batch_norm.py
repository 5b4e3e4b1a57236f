"""Running statistics of batch normalization under several processes."""

import torch
from torch import nn

from experiments.communicator import Communicator


def average_running_statistics(network: nn.Module, communicator: Communicator) -> None:
    """Give all ranks the mean of their running means and variances, so that they hold one
    network. Each rank normalizes its own batches by their own statistics."""
    if communicator.size == 1:
        return
    buffers = [
        buffer
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for buffer in (module.running_mean, module.running_var)
        if buffer is not None
    ]
    if not buffers:
        return
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    mean = communicator.all_reduce(flat) / communicator.size
    for buffer, piece in zip(buffers, mean.split([b.numel() for b in buffers]), strict=True):
        buffer.copy_(piece.view_as(buffer))
