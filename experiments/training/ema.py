"""An exponential moving average of the weights (Polyak, Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from experiments.training.batch_norm import running_statistics


class EmaWeights:
    """Keeps `average += (1 - decay) (weights - average)` for the parameters and the running
    statistics of batch norms; what else is in the network's state, ranges of quantizers say,
    follows the network."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        parameters = network.named_parameters(remove_duplicate=False)  # tied ones have two names
        self._averaged = {name for name, _ in parameters}
        self._averaged |= set(running_statistics(network))
        self._average = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def restart(self) -> None:
        """Average from the weights as they are now."""
        for name, tensor in self._network.state_dict().items():
            self._average[name].copy_(tensor)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after an optimizer step."""
        averages: list[Tensor] = []
        weights: list[Tensor] = []
        for name, tensor in self._network.state_dict().items():
            if name in self._averaged:
                averages.append(self._average[name])
                weights.append(tensor)
            else:
                self._average[name].copy_(tensor)
        torch._foreach_lerp_(averages, weights, 1.0 - self._decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averaged weights into the network for a while."""
        own = {name: t.detach().clone() for name, t in self._network.state_dict().items()}
        self._network.load_state_dict(self._average)
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """Return the averages by name."""
        return dict(self._average)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up saved averages, of whatever number of kept weights."""
        for name, tensor in state.items():
            self._average[name] = tensor.to(self._average[name].device, copy=True)
