"""When the power of a simulated device fails. A tick is a load or a store of memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.errors import UsageError, check_kind


class Schedule(ABC):
    """When the power fails."""

    @property
    @abstractmethod
    def arguments(self) -> Sequence[str]:
        """The arguments of `host/power.c`."""


@dataclass(frozen=True, kw_only=True)
class EveryTick(Schedule):
    """One failure in each inference: at the first tick, and `step` ticks later in each next one."""

    step: int = 1

    def __post_init__(self) -> None:
        _check("step", self.step, least=1)

    @property
    def arguments(self) -> Sequence[str]:
        return ["every", str(self.step)]


@dataclass(frozen=True, kw_only=True)
class Traces(Schedule):
    """`count` inferences on charges of random lengths, up to twice those of the longest tile."""

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        _check("count", self.count, least=1)
        _check("seed", self.seed, least=0)

    @property
    def arguments(self) -> Sequence[str]:
        return ["traces", str(self.count), str(self.seed)]


@dataclass(frozen=True, kw_only=True)
class Charges(Schedule):
    """One inference on charges of so many ticks."""

    ticks: int

    def __post_init__(self) -> None:
        _check("ticks", self.ticks, least=1)

    @property
    def arguments(self) -> Sequence[str]:
        return ["charges", str(self.ticks)]


def _check(name: str, given: int, *, least: int) -> None:
    check_kind(name, given, int, "a number")
    if not least <= given < 2**32:
        raise UsageError(f"{name}: {given} given, {least} to {2**32 - 1} allowed")
