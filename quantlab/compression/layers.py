"""The layers whose weights can go, and what is kept of them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Layer = nn.Linear | nn.Conv1d | nn.Conv2d


def prunable_layers(network: nn.Module) -> dict[str, Layer]:
    """Return the Linear, Conv1d and Conv2d layers by dotted name, in the order of definition, each
    once, but for those with one input channel for each output, which C stores dense."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Layer) and not _is_depthwise(module)
    }


def kept_of(network: nn.Module) -> dict[str, Tensor]:
    """Return which weights of a pruned network are not zero, by layer."""
    return {name: layer.weight.detach() != 0 for name, layer in prunable_layers(network).items()}


@torch.no_grad()
def keep(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set weights to zero but for those that are kept, in place."""
    for name, mask in masks.items():
        weight: Tensor = network.get_submodule(name).get_parameter("weight")
        weight.mul_(mask)


def float_bytes_of(network: nn.Module) -> int:
    """Return the bytes of all parameters with 32 bits each."""
    return 4 * sum(parameter.numel() for parameter in network.parameters())


def _is_depthwise(layer: Layer) -> bool:
    return not isinstance(layer, nn.Linear) and layer.groups > 1 and layer.weight.shape[1] == 1
