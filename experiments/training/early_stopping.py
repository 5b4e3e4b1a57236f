"""The best epoch so far, and how long ago it was."""

import math
from typing import Any, Literal


class BestEpoch:
    """Follows the target metric of the validation samples."""

    def __init__(self, direction: Literal["min", "max"], min_delta: float = 0.0) -> None:
        self._sign = 1.0 if direction == "max" else -1.0
        self._min_delta = min_delta
        self._reference = -math.inf
        self._stage = 0
        self.value: float | None = None
        self.epoch: int | None = None
        self.num_stale = 0

    def update(self, value: float, epoch: int, stage: int = 0) -> bool:
        """Take in an epoch's value; return whether it is the best so far.

        stage: how many tensors are quantized by now. An epoch with more is better than all before
        it: a network that is still in float is not what the run is for.
        """
        if stage > self._stage:
            self._stage, self._reference, self.value = stage, -math.inf, None
        signed = self._sign * value
        if signed > self._reference + self._min_delta:
            self._reference = signed
            self.num_stale = 0
        else:
            self.num_stale += 1
        is_best = self.value is None or signed > self._sign * self.value
        if is_best:
            self.value, self.epoch = value, epoch
        return is_best

    def state_dict(self) -> dict[str, Any]:
        return {
            "reference": self._reference,
            "stage": self._stage,
            "value": self.value,
            "epoch": self.epoch,
            "num_stale": self.num_stale,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference, self._stage = state["reference"], state["stage"]
        self.value, self.epoch = state["value"], state["epoch"]
        self.num_stale = state["num_stale"]
