"""Learning-rate schedules as pure functions: the multiplier of the base rate at a fractional epoch.

Being functions of the progress alone they need no state, resume exactly, and move every step.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LrSchedule(ABC):
    """`schedule(epoch, num_epochs)` is the multiplier; `epoch` is fractional."""

    @abstractmethod
    def __call__(self, epoch: float, num_epochs: float) -> float: ...


@dataclass(frozen=True, kw_only=True)
class _WarmUp(LrSchedule):
    """Rise linearly from 0 during `warmup_epochs`, then `_after` with the progress t in [0, 1]."""

    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}; allowed: 0 and more")

    def __call__(self, epoch: float, num_epochs: float) -> float:
        if epoch < self.warmup_epochs:
            return epoch / self.warmup_epochs
        rest = max(num_epochs - self.warmup_epochs, 1e-12)
        return self._after(min((epoch - self.warmup_epochs) / rest, 1.0), epoch)

    @abstractmethod
    def _after(self, t: float, epoch: float) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Constant(_WarmUp):
    """1."""

    def _after(self, t: float, epoch: float) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(_WarmUp):
    """final + (1 - final) (1 + cos(pi t)) / 2 (Loshchilov, Hutter, arXiv:1608.03983, (5))."""

    final: float = 0.0

    def _after(self, t: float, epoch: float) -> float:
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * t))


@dataclass(frozen=True, kw_only=True)
class Polynomial(_WarmUp):
    """final + (1 - final) (1 - t)^power."""

    final: float = 0.0
    power: float = 2.0

    def _after(self, t: float, epoch: float) -> float:
        return float(self.final + (1.0 - self.final) * (1.0 - t) ** self.power)


@dataclass(frozen=True, kw_only=True)
class Linear(_WarmUp):
    """final + (1 - final) (1 - t)."""

    final: float = 0.0

    def _after(self, t: float, epoch: float) -> float:
        return self.final + (1.0 - self.final) * (1.0 - t)


@dataclass(frozen=True, kw_only=True)
class Step(_WarmUp):
    """factor^(number of whole periods of `every` epochs that have passed)."""

    every: float
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every <= 0:
            raise ValueError(f"every is {self.every}; allowed: more than 0 epochs")

    def _after(self, t: float, epoch: float) -> float:
        return float(self.factor ** math.floor(epoch / self.every))


@dataclass(frozen=True, kw_only=True)
class Hand(LrSchedule):
    """The multiplier of the last listed epoch that has begun: `{0: 1, 25: 0.1}`; 1 before all."""

    schedule: dict[int, float]

    def __call__(self, epoch: float, num_epochs: float) -> float:
        begun = [start for start in self.schedule if start <= epoch]
        return self.schedule[max(begun)] if begun else 1.0


@dataclass(frozen=True, kw_only=True)
class OneCycle(LrSchedule):
    """Rise linearly from `start` to 1 at `peak` of the run, then fall linearly to `final`
    (Smith, Topin: Super-convergence, arXiv:1708.07120)."""

    peak: float = 0.25
    start: float = 0.05
    final: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.peak <= 1:
            raise ValueError(f"peak is {self.peak}; allowed: 0 to 1")

    def __call__(self, epoch: float, num_epochs: float) -> float:
        t = min(epoch / num_epochs, 1.0)
        if t < self.peak:
            return self.start + (1.0 - self.start) * t / self.peak
        return self.final + (1.0 - self.final) * (1.0 - t) / max(1.0 - self.peak, 1e-12)
