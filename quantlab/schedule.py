"""Schedules: pure functions of time, the epoch (whole or fractional) or the step.

Each is a frozen value that a config can hold: `{kind: cosine, end: 20, initial: 1.0, final: 0.0}`.
Between `start` and `end`, with the elapsed fraction f = (t - start) / (end - start) kept in
[0, 1], a schedule moves from exactly `initial` to exactly `final`:

    value(t) = initial * w(f) + final * (1 - w(f)),  w(0) = 1,  w(1) = 0
"""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from quantlab.settings import Settings


class _Value(Settings, ABC):
    @abstractmethod
    def __call__(self, t: float) -> float:
        """Return the value at time `t`, in the unit (epochs or steps) that the schedule is in."""


class Constant(_Value):
    """The same value at all times."""

    kind: Literal["constant"] = "constant"
    value: float

    def __call__(self, t: float) -> float:
        return self.value


class _Ramp(_Value):
    start: float = 0.0
    end: float
    initial: float
    final: float

    @model_validator(mode="after")
    def _check_order(self) -> "_Ramp":
        if self.end <= self.start:
            raise ValueError(f"end: {self.end:g} given, more than start ({self.start:g}) allowed")
        return self

    @abstractmethod
    def _weight(self, fraction: float) -> float:
        """Return the share of `initial` left after a fraction of the time."""

    def __call__(self, t: float) -> float:
        fraction = min(max((t - self.start) / (self.end - self.start), 0.0), 1.0)
        weight = self._weight(fraction)
        return self.initial * weight + self.final * (1.0 - weight)


class Linear(_Ramp):
    """w(f) = 1 - f."""

    kind: Literal["linear"] = "linear"

    def _weight(self, fraction: float) -> float:
        return 1.0 - fraction


class Polynomial(_Ramp):
    """w(f) = (1 - f)^power."""

    kind: Literal["polynomial"] = "polynomial"
    power: float = Field(gt=0)

    def _weight(self, fraction: float) -> float:
        return float((1.0 - fraction) ** self.power)


class Cosine(_Ramp):
    """w(f) = (1 + cos(pi f)) / 2."""

    kind: Literal["cosine"] = "cosine"

    def _weight(self, fraction: float) -> float:
        return (1.0 + math.cos(math.pi * fraction)) / 2.0


# The keys of JSON are texts.
_Time = Annotated[int, Strict(False)] | Annotated[float, Strict(False)]


class Hand(_Value):
    """Values set by hand, `{0: 1.0, 25: 0.1}`: each holds from its time on, until the next."""

    kind: Literal["hand"] = "hand"
    values: dict[_Time, float]

    @model_validator(mode="after")
    def _check_start(self) -> "Hand":
        if not any(time <= 0 for time in self.values):
            raise ValueError(f"values: times {sorted(self.values)} given, one of them must be 0")
        return self

    def __call__(self, t: float) -> float:
        """Raises ValueError for a time before the first one set."""
        return self.values[max(time for time in self.values if time <= t)]


Schedule = Annotated[Constant | Linear | Polynomial | Cosine | Hand, Field(discriminator="kind")]
