"""Small networks of which some layers have low rank beneath a little noise."""

import torch
from torch import Tensor, nn

from quantlab.compression.cost import Cost


@torch.no_grad()
def lower(layer: nn.Linear | nn.Conv1d | nn.Conv2d, rank: int, noise: float = 0.0) -> nn.Module:
    """Give each group's matrix of weights a rank, beneath noise, in place. Returns the layer."""
    groups = getattr(layer, "groups", 1)
    weight = layer.weight.reshape(groups, -1, layer.weight[0].numel())
    (_, outputs, inputs), scale = weight.shape, (rank * layer.weight[0].numel()) ** -0.5
    low = torch.randn(groups, outputs, rank) @ torch.randn(groups, rank, inputs) * scale
    layer.weight.copy_((low + noise * scale * torch.randn_like(low)).reshape(layer.weight.shape))
    return layer


def images(count: int = 16, channels: int = 1, size: int = 8) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(count, channels, size, size)


def weight_cost(network: nn.Module) -> Cost:
    """Return a byte for each weight that is not zero, and 4 for each layer."""
    weights = [tensor for name, tensor in network.state_dict().items() if "weight" in name]
    return Cost(flash=sum(int((w != 0).sum()) + 4 for w in weights), ram=0)
