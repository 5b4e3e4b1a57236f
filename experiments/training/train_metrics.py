"""The metrics of an epoch's own batches, gathered at little cost."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from experiments.protocols import Meter

# The meter's small operations cost as much for many batches as for one.
_NUM_BATCHES = 16


class TrainMetrics:
    """Feeds a meter with several batches at a time; `flush` brings it up to date."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Take in a batch: predictions, targets `[N, ...]`, the mean loss; all detached."""
        self._waiting.append((predictions, targets, loss))
        if len(self._waiting) >= _NUM_BATCHES:
            self.flush()

    def flush(self) -> None:
        """Feed what is waiting."""
        if not self._waiting:
            return
        predictions, targets, losses = zip(*self._waiting, strict=True)
        self._waiting = []
        shares = _shares([len(t) for t in targets], losses[0].device)
        loss = (torch.stack(losses).double() * shares).sum()
        self.meter.update(torch.cat(predictions), torch.cat(targets), loss)

    def reset(self) -> None:
        self._waiting = []
        self.meter.reset()

    def state(self) -> dict[str, Any]:
        """Return the counts and, as they are, the batches that wait: feeding them early would sum
        the losses in another order."""
        return {"meter": self.meter.state(), "waiting": list(self._waiting)}

    @staticmethod
    def merged(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the state of one rank that has seen what several have."""
        names = states[0]["meter"]
        return {
            "meter": {name: sum(state["meter"][name] for state in states) for name in names},
            "waiting": [batch for state in states for batch in state["waiting"]],
        }

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from a state, on `device`."""
        self.meter.load_state(state["meter"])
        self._waiting = [
            (predictions.to(device), targets.to(device), loss.to(device))
            for predictions, targets, loss in state["waiting"]
        ]


def _shares(counts: Sequence[int], device: torch.device) -> Tensor:
    """Return each count over their sum, float64, made on the device: a copy would wait for it."""
    total = sum(counts)
    runs = [(count, len(list(alike))) for count, alike in groupby(counts)]
    return torch.cat(
        [torch.full((n,), count / total, dtype=torch.float64, device=device) for count, n in runs]
    )
