"""A byte budget: how much flash and memory a network may take on its board."""

import re
from dataclasses import dataclass
from decimal import Decimal

from quantlab.errors import UsageError, check_kind

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "KIB": 1024, "MIB": 1024**2}
_MOST = 2**40


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bytes; None for no limit.

    flash: of all object files of the model: code, constants, structures. ram: of the memory that
    the model is given: arena, inputs and outputs. At least one of them; whole numbers, or texts
    such as "20 KB" (1,000 bytes) and "20 KiB" (1,024). Raises UsageError for others.
    """

    flash: int | str | None = None
    ram: int | str | None = None

    def __post_init__(self) -> None:
        for name in ("flash", "ram"):
            object.__setattr__(self, name, _bytes(f"budget.{name}", getattr(self, name)))
        if self.flash is None and self.ram is None:
            raise UsageError("budget: neither flash nor ram given, at least one of them needed")

    @property
    def flash_bytes(self) -> int | None:
        """The flash as a number."""
        return _bytes("budget.flash", self.flash)

    @property
    def ram_bytes(self) -> int | None:
        """The RAM as a number."""
        return _bytes("budget.ram", self.ram)


def budget_of(given: object) -> Budget:
    """Return a budget, or one of flash from a number or text. Raises UsageError."""
    check_kind("budget", given, Budget | int | str, "a Budget, or bytes of flash,")
    if isinstance(given, Budget):
        return given
    assert isinstance(given, int | str)
    return Budget(flash=given)


def _bytes(name: str, given: int | str | None) -> int | None:
    if given is None:
        return None
    check_kind(name, given, int | str, "a number of bytes")
    count = given
    if isinstance(given, str):
        found = re.fullmatch(r"\s*([\d_,]*\.?\d+)\s*([A-Za-z]*)\s*", given)
        unit = None if found is None else _UNITS.get(found[2].upper())
        if found is None or unit is None:
            raise UsageError(f"{name}: '{given}' given, bytes such as 20000 or '20 KB' allowed")
        count = int(Decimal(re.sub("[_,]", "", found[1])) * unit)
    assert isinstance(count, int)
    if count <= 0:
        raise UsageError(f"{name}: {given} given, at least 1 byte allowed")
    if count > _MOST:
        raise UsageError(f"{name}: more than {_MOST:,} bytes given; None sets no limit")
    return count
