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

    All sums lie on the device of the predictions and are never read back before `compute`.
    """

    directions: Mapping[str, Direction] = {"mae": "min", "rmse": "min", "loss": "min"}

    def __init__(self, classes: Sequence[str]) -> None:
        if classes:
            raise UsageError(f"meter of errors: {len(classes)} classes given; none allowed")
        names = ("samples", "numbers", "absolute", "squared", "loss")
        zeros = {name: torch.zeros((), dtype=torch.float64) for name in names}
        self._place(torch.device("cpu"), zeros)

    def reset(self) -> None:
        for total in self._state.values():
            total.zero_()

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch. Raises UsageError for predictions of another shape."""
        if predictions.shape == (*targets.shape, 1):
            predictions = predictions.squeeze(-1)
        if predictions.shape != targets.shape:
            raise UsageError(
                f"meter: predictions of shape {list(predictions.shape)} for targets of shape "
                f"{list(targets.shape)}; the same allowed"
            )
        if predictions.device != self._device:
            self._place(predictions.device, self._state)
        errors = predictions.detach().double() - targets
        self._state["samples"] += len(targets)
        self._state["numbers"] += errors.numel()
        self._state["absolute"] += errors.abs().sum()
        self._state["squared"] += errors.square().sum()
        self._state["loss"] += loss.detach().double() * len(targets)

    def state(self) -> dict[str, Tensor]:
        """Return sums, float64 `[]`: of samples, numbers, absolute and squared errors, losses."""
        return {name: total.clone() for name, total in self._state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state or a sum of states."""
        for name, total in self._state.items():
            total.copy_(state[name])

    def compute(self) -> Iterator[tuple[str, float]]:
        """Yield (metric name, value). Raises UsageError if no sample was seen."""
        totals = {name: float(total) for name, total in self._state.items()}
        if not totals["samples"]:
            raise UsageError("meter: no sample was seen; metrics need at least 1")
        yield "mae", totals["absolute"] / totals["numbers"]
        yield "rmse", (totals["squared"] / totals["numbers"]) ** 0.5
        yield "loss", totals["loss"] / totals["samples"]

    def _place(self, device: torch.device, state: Mapping[str, Tensor]) -> None:
        # Inference mode would make tensors that training may not update afterwards.
        with torch.inference_mode(False):
            self._device = device
            self._state = {name: total.to(device, copy=True) for name, total in state.items()}
