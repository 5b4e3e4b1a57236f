"""What the removal of each weight would cost.

To second order in a trained network, the loss grows by about F w^2 / 2 where a weight w is removed
(Y. LeCun et al., Optimal brain damage, 1989, equation 5), with F the mean of the squared gradient
(L. Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018,
arXiv:1801.05787, equation 8), here a moving one over the batches of training.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_DECAY = 0.98


class Importance:
    """The moving mean of the squared gradient of each weight, by layer."""

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        self._weights = {name: layer.get_parameter("weight") for name, layer in layers.items()}
        self._squares = {name: torch.zeros_like(w) for name, w in self._weights.items()}
        self._num_steps = 0

    @torch.no_grad()
    def observe(self, masks: Mapping[str, Tensor]) -> None:
        """Take the gradients of one step. masks: by layer; weights that are not kept stay as they
        were: the gradient of a channel without weights says nothing."""
        self._num_steps += 1
        for name, weight in self._weights.items():
            if weight.grad is not None:
                change = weight.grad.square().sub_(self._squares[name]).mul_(masks[name])
                self._squares[name].add_(change, alpha=1 - _DECAY)

    def fisher(self) -> dict[str, Tensor]:
        """Return F of each weight, by layer, corrected for the first steps."""
        correction = max(1 - _DECAY**self._num_steps, 1e-12)
        return {name: square / correction for name, square in self._squares.items()}

    def state_dict(self) -> dict[str, Tensor | int]:
        """Return all that `load_state_dict` needs."""
        return {"num_steps": self._num_steps, **{f"of.{n}": s for n, s in self._squares.items()}}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Go on from a state."""
        self._num_steps = int(state["num_steps"])
        for name, square in self._squares.items():
            stored = state[f"of.{name}"]
            assert isinstance(stored, Tensor)
            square.copy_(stored)
