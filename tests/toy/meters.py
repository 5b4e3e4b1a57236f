"""A meter of one sum."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor


class Sums:
    """Adds up int64 counts and a float64 sum."""

    directions: Mapping[str, Literal["min", "max"]] = {"total": "max"}

    def __init__(self) -> None:
        self._state: dict[str, Tensor] = {}
        self.reset()

    def reset(self) -> None:
        self._state = {
            "count": torch.zeros(2, 1, dtype=torch.int64),
            "sum": torch.zeros(()).double(),
        }

    def update(
        self, predictions: Tensor, targets: Tensor | None = None, loss: Tensor | None = None
    ) -> None:
        self._state["count"] += predictions.sum().long()
        self._state["sum"] += predictions.double().sum()

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._state = dict(state)

    def compute(self) -> Iterator[tuple[str, float]]:
        yield "total", float(self._state["sum"])
