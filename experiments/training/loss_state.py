"""What a loss holds of its own: one that knows the network holds the network's tensors too."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def own_parameters(loss: nn.Module, network: nn.Module) -> list[nn.Parameter]:
    """Return the loss's trainable parameters that are not the network's."""
    shared = {id(p) for p in network.parameters()}
    return [p for p in loss.parameters() if p.requires_grad and id(p) not in shared]


def own_state(loss: nn.Module, network: nn.Module) -> dict[str, Tensor]:
    """Return the entries of the loss's state that are not the network's."""
    shared = {id(t) for t in network.state_dict(keep_vars=True).values()}
    state = loss.state_dict(keep_vars=True)
    return {name: t.detach() for name, t in state.items() if id(t) not in shared}


@torch.no_grad()
def load_own_state(loss: nn.Module, network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take up what `own_state` returned."""
    for name, tensor in own_state(loss, network).items():
        tensor.copy_(state[name])
