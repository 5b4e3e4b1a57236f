"""Limits: what the arithmetic of the target has room for."""

from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.errors import UsageError, check_kind

MEMORY_BITS = (8, 16, 32)
SUM_BITS = (32, 64)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How a program may be built.

    threshold_levels: grids of at most so many levels are reached by comparing, not multiplying.
    memory_bits: of a tensor that outlives the layer that makes it.
    sum_bits: of the whole sum, multiplier * input + offset, of a Requantize or Add.
    """

    threshold_levels: int = 4
    memory_bits: int = 32
    sum_bits: int = 64

    def __post_init__(self) -> None:
        check_kind("threshold_levels", self.threshold_levels, int, "an integer")
        _check_one_of("memory_bits", self.memory_bits, MEMORY_BITS)
        _check_one_of("sum_bits", self.sum_bits, SUM_BITS)

    def as_given(self) -> dict[str, int]:
        """Return the arguments of `lower` that are chosen for a target, by name."""
        return {"memory_bits": self.memory_bits, "sum_bits": self.sum_bits}

    @property
    def has_narrow_memory(self) -> bool:
        """Whether sums are to be rounded where they are kept."""
        return self.memory_bits < max(MEMORY_BITS)

    @property
    def carried_bits(self) -> int:
        """Of the sums of values. With 32 bits for all, 20 are theirs and 11 are a multiplier's: so
        either adds as little to the error as the other."""
        return 32 if self.sum_bits == max(SUM_BITS) else 20

    @property
    def wide_bits(self) -> int:
        """Of what is made of sums without a range of its own, such as scores."""
        return 32 if self.sum_bits == max(SUM_BITS) else 31


def _check_one_of(name: str, given: object, allowed: Sequence[int]) -> None:
    if not isinstance(given, bool):
        check_kind(name, given, int, "an integer")
    if given not in allowed:
        numbers = " or ".join(map(str, allowed))
        raise UsageError(f"{name}: {given} given, {numbers} allowed")
