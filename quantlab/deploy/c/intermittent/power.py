"""What power failures ask of a model."""

from dataclasses import dataclass

from quantlab.errors import UsageError, check_kind

_TILE = 10_000
_PART = 8


@dataclass(frozen=True, kw_only=True)
class Power:
    """Power that fails at any time. Work is counted in instructions of a Cortex-M4, as `work.py`
    estimates them.

    energy: how much work a full charge is enough for; None if it is not known: then nothing is
    refused. tile: how much is done between two commits, if it can be cut so; by default so much
    that commits cost little, and little of a charge: an unfinished tile is done again.
    """

    energy: int | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        for name, given in (("energy", self.energy), ("tile", self.tile)):
            if given is not None:
                check_kind(name, given, int, "a number of instructions")
                if given < 1:
                    raise UsageError(f"{name}: {given} given, at least 1 instruction allowed")

    @property
    def wanted(self) -> int:
        """The instructions between two commits."""
        if self.tile is not None:
            return self.tile
        if self.energy is None:
            return _TILE
        return max(min(self.energy, _TILE), self.energy // _PART)


def power_of(intermittent: bool | Power) -> Power | None:
    """Return what power failures ask for, None if there are none."""
    check_kind("intermittent", intermittent, bool | Power, "True, False or a Power")
    if isinstance(intermittent, Power):
        return intermittent
    return Power() if intermittent else None
