"""The metric of predicted numbers: mean absolute error, root mean square error, loss.

Shapes: N samples of a batch, T numbers of a target.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from quantlab.errors import UsageError

Direction = Literal["min", "max"]


class ErrorMeter:
    """`mae` and `rmse` in the unit of the targets, over all their numbers; `loss`, the mean.

    Predictions have the shape of the targets, or an axis of 1 behind: `[N]`, `[N, 1]`, `[N, T]`.
    """

    directions: Mapping[str, Direction] = {"mae": "min", "rmse": "min", "loss": "min"}

    def __init__(self, classes: Sequence[str]) -> None:
        if classes:
            raise UsageError(f"meter of errors: {len(classes)} classes given; none allowed")
        self._state: dict[str, Tensor] = {}
        self.reset()

    def reset(self) -> None:
        names = ("samples", "numbers", "absolute", "squared", "loss")
        self._state = {name: torch.zeros((), dtype=torch.float64) for name in names}

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch. Raises UsageError for predictions of another shape."""
        if predictions.shape == (*targets.shape, 1):
            predictions = predictions.squeeze(-1)
        if predictions.shape != targets.shape:
            raise UsageError(
                f"meter: predictions of shape {list(predictions.shape)} for targets of shape "
                f"{list(targets.shape)}; the same allowed"
            )
        errors = predictions.detach().double() - targets
        self._state["samples"] += len(targets)
        self._state["numbers"] += errors.numel()
        self._add("absolute", errors.abs().sum())
        self._add("squared", errors.square().sum())
        self._add("loss", loss.detach().double() * len(targets))

    def state(self) -> dict[str, Tensor]:
        """Return sums, float64 `[]`: of samples, numbers, absolute and squared errors, losses."""
        return {name: total.clone() for name, total in self._state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state or a sum of states."""
        self._state = {name: state[name].clone() for name in self._state}

    def compute(self) -> Iterator[tuple[str, float]]:
        """Yield (metric name, value). Raises UsageError if no sample was seen."""
        totals = {name: float(total) for name, total in self._state.items()}
        if not totals["samples"]:
            raise UsageError("meter: no sample was seen; metrics need at least 1")
        yield "mae", totals["absolute"] / totals["numbers"]
        yield "rmse", (totals["squared"] / totals["numbers"]) ** 0.5
        yield "loss", totals["loss"] / totals["samples"]

    def _add(self, name: str, value: Tensor) -> None:
        self._state[name] = self._state[name].to(value.device) + value
