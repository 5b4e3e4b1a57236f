"""How long training takes, breaks left out."""

import time


class Clock:
    """Adds up epochs; the one that runs may have begun in a process before this one.

    done: seconds of the epochs that have ended.
    """

    def __init__(self) -> None:
        self.done = 0.0
        self._epoch_started = time.perf_counter()

    @property
    def epoch(self) -> float:
        """Seconds since the current epoch began."""
        return time.perf_counter() - self._epoch_started

    def end_epoch(self) -> float:
        """Begin the next epoch; return the seconds of the one that ended."""
        seconds = self.epoch
        self.done += seconds
        self._epoch_started = time.perf_counter()
        return seconds

    def state_dict(self) -> dict[str, float]:
        return {"done": self.done, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.done = state["done"]
        self._epoch_started = time.perf_counter() - state["epoch"]
