"""Which integers a tensor can have: rising ones in equal steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from quantlab.integer.operations import (
    Concatenate,
    MaxPool,
    Operation,
    Permute,
    Reshape,
    Slice,
    Threshold,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True)
class Levels:
    """low, low + step, ..., high."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        assert self.low <= self.high
        assert self.step >= 1
        assert (self.high - self.low) % self.step == 0

    def including(self, code: int) -> "Levels":
        """Return the fewest levels in equal steps that have these and `code`."""
        distance = abs(code - self.low)
        spread = self.step if self.high > self.low else 0
        return Levels(
            low=min(self.low, code),
            high=max(self.high, code),
            step=gcd(spread, distance) or self.step,
        )


def levels_of(program: Program) -> Mapping[str, Levels]:
    """Return the levels of every tensor: those of thresholds, which no operation that moves or
    picks elements changes, else all integers within the tensor's bound."""
    found: dict[str, Levels] = {}
    for name in program.inputs:
        found[name] = _within_bound(program, name)
    for operation in program.operations:
        name = operation.output
        given = [found[source] for source in operation.inputs]
        types = [program.types[source] for source in operation.inputs]
        found[name] = _made(operation, given, types) or _within_bound(program, name)
    return found


def _made(
    operation: Operation, given: Sequence[Levels], types: Sequence[TensorType]
) -> Levels | None:
    match operation:
        case Threshold():
            return Levels(low=operation.low, high=operation.high, step=operation.step)
        case MaxPool() if not operation.windows.see_all(*types[0].shape[1:]):
            return given[0].including(types[0].kind.minimum)
        case Concatenate() | MaxPool() | Permute() | Reshape() | Slice():
            joined = given[0]
            for one in given[1:]:
                for code in (one.low, min(one.low + one.step, one.high), one.high):
                    joined = joined.including(code)
            return joined
        case _:
            return None


def _within_bound(program: Program, name: str) -> Levels:
    bound = program.bounds[name]
    return Levels(low=bound.lowest, high=bound.highest)
