"""The loss of single steps, gathered without waiting for the device."""

from collections.abc import Iterator

import torch
from torch import Tensor

from experiments.processes.communicator import Communicator


class LossCurve:
    """Collects the losses of every n-th step. On each rank a step's loss is that of its own
    samples, weighted by their share of the step, so that the sum over the ranks is the step's."""

    def __init__(self, every_steps: int, device: torch.device) -> None:
        self._every = every_steps
        self._nothing = torch.zeros((), device=device)
        self._current: Tensor | None = None
        self._points: list[tuple[int, Tensor]] = []

    def start_step(self) -> None:
        self._current = None

    def add(self, share: Tensor) -> None:
        """Add the weighted loss of a batch, detached."""
        self._current = share if self._current is None else self._current + share

    def end_step(self, step: int) -> None:
        if step % self._every == 0:
            self._points.append((step, self._nothing if self._current is None else self._current))

    def take(self, communicator: Communicator) -> Iterator[tuple[int, float]]:
        """Yield the points since the last call, summed over the ranks in one reduction."""
        points, self._points = self._points, []
        if not points:
            return
        mine = torch.stack([loss for _, loss in points]).double().cpu()
        summed = communicator.all_reduce(mine) if communicator.size > 1 else mine
        yield from zip([step for step, _ in points], summed.tolist(), strict=True)
