"""The weights of a network, as a whole state."""

import torch
from torch import Tensor, nn

from experiments.processes.communicator import Communicator
from experiments.training.loss_state import own_parameters
from quantlab.errors import UsageError
from quantlab.sparse import SparseLayer


def load_weights(network: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load a state that must fit exactly. Raises UsageError naming the first misfit."""
    for path, layer in network.named_modules():
        indices = state.get(f"{path}.indices")
        if isinstance(layer, SparseLayer) and indices is not None:
            layer.keep(indices)
    own = network.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state or name not in own:
            lacks = "has no" if name not in state else "has a superfluous"
            raise UsageError(f"{origin}: {lacks} entry {name!r}; is it of another topology?")
        if own[name].shape != state[name].shape:
            raise UsageError(
                f"{origin}: {name} is {tuple(state[name].shape)}, the network's is "
                f"{tuple(own[name].shape)}; is it of another topology?"
            )
    network.load_state_dict(state)


def trained_parameters(network: nn.Module, loss: nn.Module) -> list[nn.Parameter]:
    """Return what the optimizer changes: the network's parameters and the loss's own."""
    own = [p for p in network.parameters() if p.requires_grad]
    return own + own_parameters(loss, network)


@torch.no_grad()
def share_state(network: nn.Module, communicator: Communicator) -> None:
    """Give the parameters and buffers of a network the bits that they have on rank 0, in place."""
    if communicator.size == 1:
        return
    tensors = [*network.parameters(), *network.buffers()]
    pieces = [tensor.detach().reshape(-1).view(torch.uint8) for tensor in tensors]
    flat = torch.cat(pieces)
    communicator.broadcast(flat)
    for tensor, piece in zip(tensors, flat.split([len(p) for p in pieces]), strict=True):
        tensor.copy_(piece.clone().view(tensor.dtype).view(tensor.shape))
