"""Stopping between two steps when the user or the system asks for it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import torch

from experiments.processes.communicator import Communicator

# Ranks agree on stopping about so often, since it costs a reduction. Launchers give their processes
# few seconds: horovodrun 5.
_SECONDS, _MAX_CALLS = 1.0, 50


class Interrupted(Exception):
    """Training stops here on all ranks. What was written last may be some seconds old, by
    `checkpoint.seconds_between`, if it stops while validating."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, by which launchers end their processes, do what Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interruption:
    """While entered, SIGINT and SIGTERM set a flag instead of ending the process; a second SIGINT
    ends it."""

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._is_asked = False
        self._before: dict[int, object] = {}
        self.expect_new_pace()

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

    def expect_new_pace(self) -> None:
        """Tell, on every rank, that the following calls of `is_due` may be further apart."""
        self._calls_between = self._calls_left = 1
        self._agreed_at = time.perf_counter()

    def is_due(self) -> bool:
        """Return whether all ranks stop now; call it equally often on every rank."""
        if self._communicator.size == 1:
            return self._is_asked
        self._calls_left -= 1
        if self._calls_left > 0:
            return False
        passed = time.perf_counter() - self._agreed_at
        mine = torch.tensor([float(self._is_asked), passed], dtype=torch.float64)
        is_asked, seconds = self._communicator.all_reduce(mine, "max").tolist()
        # From the same number on all ranks, so that they meet again.
        calls = int(self._calls_between * _SECONDS / max(seconds, 1e-6))
        self._calls_between = self._calls_left = min(max(calls, 1), _MAX_CALLS)
        self._agreed_at = time.perf_counter()
        return bool(is_asked)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._is_asked = True
