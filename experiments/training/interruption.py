"""Stopping between two steps when the user or the system asks for it."""

import signal
from types import FrameType, TracebackType

import torch

from experiments.communicator import Communicator

# Ranks agree on stopping only so often: it costs a reduction.
_AGREEMENT_STEPS = 50


class Interruption:
    """While entered, SIGINT and SIGTERM set a flag instead of ending the process; a second SIGINT
    ends it."""

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._is_asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def is_due(self, step: int) -> bool:
        """Return whether all ranks stop after this step; call it at every step on every rank."""
        if self._communicator.size == 1:
            return self._is_asked
        if step % _AGREEMENT_STEPS:
            return False
        return bool(self._communicator.all_reduce(torch.tensor(int(self._is_asked)), "max"))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._is_asked = True
