"""The metric of image classification: top-1, top-5, loss and confusion.

Shapes: N samples of a batch, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from quantlab.errors import UsageError

Direction = Literal["min", "max"]

_TOP = 5


class ClassificationMeter:
    """Counts over batches: `top1` and `top5` in percent, `loss` as the mean over samples.

    A prediction is the scores `[N, C]`, the higher the likelier. Equal scores rank by class, the
    lower first, as argmax does; a target whose score is not a number ranks last. `top5` exists for
    more than five classes only.

    All counts lie on the device of the predictions and are never read back before `compute`.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise UsageError("meter: 0 classes; at least 1 is needed")
        self.classes = tuple(classes)
        self.directions: Mapping[str, Direction] = (
            {"top1": "max", "top5": "max", "loss": "min"}
            if len(self.classes) > _TOP
            else {"top1": "max", "loss": "min"}
        )
        self._place(torch.device("cpu"), self._zeros())

    def reset(self) -> None:
        for total in self._state.values():
            total.zero_()

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch: scores `[N, C]`, targets `[N]` int64, the mean loss of the batch (a scalar).

        Raises UsageError for scores of another shape.
        """
        num_samples, num_classes = len(targets), len(self.classes)
        if predictions.shape != (num_samples, num_classes):
            raise UsageError(
                f"meter: predictions of shape {list(predictions.shape)} for {num_samples} targets; "
                f"allowed: [{num_samples}, {num_classes}]"
            )
        if predictions.device != self._device:
            self._place(predictions.device, self._state)
        scores_NC = predictions.detach()
        cells_N = torch.add(scores_NC.argmax(1), targets, alpha=num_classes)
        confusion = self._state["confusion"].view(-1)
        confusion.index_add_(0, cells_N, self._one.expand(num_samples))
        self._state["loss"].add_(loss.detach(), alpha=num_samples)
        if "top5" in self._state:
            self._state["top5"].add_(self._num_in_top(scores_NC, targets))

    def state(self) -> dict[str, Tensor]:
        """Return `confusion [C, C]` and `top5 []`, int64, and `loss []`, the float64 sum."""
        return {name: total.clone() for name, total in self._state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state or a sum of states. Raises UsageError if it does not fit."""
        for name, total in self._state.items():
            if name not in state or state[name].shape != total.shape:
                found = list(state[name].shape) if name in state else "nothing"
                raise UsageError(
                    f"meter state '{name}': found {found}; needed: shape {list(total.shape)}"
                )
            total.copy_(state[name])

    def compute(self) -> Iterator[tuple[str, float]]:
        """Yield (metric name, value). Raises UsageError if no sample was seen."""
        confusion = self.confusion()
        num_samples = int(confusion.sum())
        if num_samples == 0:
            raise UsageError("meter: no sample was seen; metrics need at least 1")
        yield "top1", 100 * int(confusion.trace()) / num_samples
        if "top5" in self._state:
            yield "top5", 100 * int(self._state["top5"]) / num_samples
        yield "loss", float(self._state["loss"]) / num_samples

    def confusion(self) -> Tensor:
        """Return counts `[C, C]` int64 on the CPU: rows true, columns predicted classes."""
        return self._state["confusion"].to("cpu", copy=True)

    def _num_in_top(self, scores_NC: Tensor, targets: Tensor) -> Tensor:
        """Count the samples whose target ranks among the first five."""
        targets_N1 = targets.unsqueeze(1)
        target_score_N1 = scores_NC.gather(1, targets_N1)
        is_behind_NC = torch.where(
            self._class_ids > targets_N1, scores_NC <= target_score_N1, scores_NC < target_score_N1
        )
        return (is_behind_NC.sum(1) >= len(self.classes) - _TOP).sum()

    def _zeros(self) -> dict[str, Tensor]:
        num_classes = len(self.classes)
        zeros = {
            "confusion": torch.zeros(num_classes, num_classes, dtype=torch.int64),
            "loss": torch.zeros((), dtype=torch.float64),
        }
        if "top5" in self.directions:
            zeros["top5"] = torch.zeros((), dtype=torch.int64)
        return zeros

    def _place(self, device: torch.device, state: Mapping[str, Tensor]) -> None:
        # Inference mode would make tensors that training may not update afterwards.
        with torch.inference_mode(False):
            self._device = device
            self._state = {name: total.to(device, copy=True) for name, total in state.items()}
            self._one = torch.ones(1, dtype=torch.int64, device=device)
            self._class_ids = torch.arange(len(self.classes), device=device)
