"""The weights of a network, as a whole state."""

from torch import Tensor, nn

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
