"""Epochs that diverged are trained again, from where they began, at half the rate.

An epoch has diverged if its loss is not finite, or if less than half is left of the accuracy above
that of one class for all samples: a step too wide leaves units that never fire again. Where lower
rates do not help it was not the rate, but the weights that were removed: the network stays what it
became, its rate what it was. Each epoch that goes well doubles a rate that was halved.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quantlab.errors import DivergedError

_TRIES = 5  # at lower rates
_LEFT = 0.5  # of the accuracy, at least


class Stateful(Protocol):
    """What has all that it is in a state: a network, an optimizer, `Pruning`."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


class Recovery:
    """Trains epochs. chance: the accuracy of one class for all samples, in percent. rate: the part
    of the recipe's learning rate that is taken. num_repeated: epochs that were trained again."""

    def __init__(self, chance: float) -> None:
        self.rate = 1.0
        self.num_repeated = 0
        self._chance = chance

    def train(self, parts: Sequence[Stateful], before: float, epoch: Callable[[], float]) -> float:
        """Return the accuracy after an epoch.

        parts: all that an epoch changes. before: the accuracy. epoch: trains for one, at the rate
        of that moment, and returns the accuracy. Raises DivergedError if lower rates do not help.
        """
        states = [copy.deepcopy(part.state_dict()) for part in parts]
        rate = self.rate = min(2 * self.rate, 1.0)
        for attempt in range(_TRIES + 1):
            if attempt:
                self.rate /= 2
                if attempt == 1:
                    self.num_repeated += 1
                for part, state in zip(parts, states, strict=True):
                    part.load_state_dict(copy.deepcopy(state))
            try:
                accuracy = epoch()
            except DivergedError:
                if attempt == _TRIES:
                    raise
                continue
            if accuracy - self._chance >= _LEFT * (before - self._chance):
                return accuracy
        self.rate = rate
        return accuracy
