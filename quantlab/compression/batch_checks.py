"""Batches that are checked without waiting for a GPU.

What lies on the CPU is checked at once. Of what lies on another device the least and the largest
number are found there, and looked at in the end: to look waits for all that was computed before.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.integer.lower.finite import check_finite

_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class _Classes:
    """The ends of a batch's classes, for a network of so many."""

    low: Tensor
    high: Tensor
    num_classes: int


class BatchChecks:
    """Checks inputs and classes. name: of the batches, for errors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inputs: list[Tensor] = []
        self._classes: list[_Classes] = []

    def inputs(self, inputs: Tensor) -> None:
        """Raise UsageError for inputs that are not finite; of another device `look` does."""
        if inputs.device == _CPU:
            check_finite(inputs, self._name)
        elif inputs.is_floating_point() and inputs.numel():
            self._inputs.extend(inputs.detach().aminmax())  # NaN where one number is

    def classes(self, targets: Tensor, count: int, num_classes: int) -> Tensor:
        """Return targets, those of another device within the classes, so that no kernel reads
        beyond a tensor.

        Raises UsageError unless they are classes, one for each of `count` samples; for a wrong
        class of another device `look` does.
        """
        if targets.device == _CPU:
            check_classes(targets, count, num_classes, self._name)
            return targets
        _check_kind(targets, count, self._name)
        targets = targets.long()
        low, high = targets.aminmax()
        self._classes.append(_Classes(low=low, high=high, num_classes=num_classes))
        return targets.clamp(0, num_classes - 1)

    def look(self) -> None:
        """Raise UsageError for what was wrong in a batch of another device. Waits for it."""
        for end in _numbers(self._inputs):
            if not math.isfinite(end):
                kind = "NaN" if math.isnan(end) else "infinite numbers"
                raise UsageError(f"{self._name}: {kind} given, finite numbers allowed")
        lows = _numbers([one.low for one in self._classes])
        highs = _numbers([one.high for one in self._classes])
        for low, high, one in zip(lows, highs, self._classes, strict=True):
            _check_ends(int(low), int(high), one.num_classes, self._name)
        self._inputs, self._classes = [], []


def check_classes(targets: Tensor, count: int, num_classes: int, name: str) -> None:
    """Raise UsageError unless targets are classes, one for each of `count` samples."""
    _check_kind(targets, count, name)
    _check_ends(int(targets.min()), int(targets.max()), num_classes, name)


def _check_kind(targets: Tensor, count: int, name: str) -> None:
    """Raise UsageError unless targets are integers, one for each of `count` samples."""
    if targets.shape != (count,) or targets.is_floating_point() or targets.is_complex():
        kind = str(targets.dtype).removeprefix("torch.")
        raise UsageError(
            f"{name}: targets {kind}{list(targets.shape)} given, integers [{count}] allowed, a "
            "class for each sample"
        )


def _check_ends(low: int, high: int, num_classes: int, name: str) -> None:
    if low < 0 or high >= num_classes:
        raise UsageError(
            f"{name}: class {low if low < 0 else high} given, 0 to {num_classes - 1} allowed, the "
            f"{num_classes} outputs of the network"
        )


def _numbers(scalars: list[Tensor]) -> list[float]:
    """Return scalars of a device as numbers, at once."""
    found: list[float] = torch.stack(scalars).tolist() if scalars else []
    return found
