"""Rules for single layers, whatever their names."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from quantlab.algorithms.layers import Target
from quantlab.algorithms.rules import QuantRule
from quantlab.algorithms.table import ALGORITHMS
from quantlab.errors import UsageError, did_you_mean

# An algorithm's settings but for its number of bits, as they stand in a config.
Settings = Mapping[str, Any]

STE: Settings = MappingProxyType({"kind": "ste"})

_KEYWORDS = ("first", "last")
_SPECIAL = "*?[&|()"


def rule_for(layers: Iterable[str], on: Target, algorithm: Settings, num_bits: int) -> QuantRule:
    """Return the rule that quantizes exactly these layers to a number of bits.

    Raises UsageError, in one line, for impossible settings, or if they say the number of bits.
    """
    if "num_bits" in algorithm:
        raise UsageError(f"algorithm.num_bits: {algorithm['num_bits']} given, but it is chosen")
    kind = algorithm.get("kind")
    if kind not in ALGORITHMS:
        hint = did_you_mean(str(kind), ALGORITHMS)
        raise UsageError(
            f"algorithm.kind: {kind!r} given, one of {', '.join(ALGORITHMS)} allowed{hint}"
        )
    settings: Any = {**algorithm, "num_bits": num_bits}
    return QuantRule(select=select_names(layers), on=on, algorithm=settings)


def select_names(layers: Iterable[str]) -> str:
    """Return the selector of layers with these names; see `quantlab.graphs.select`."""
    return " | ".join(_glob(name) for name in layers)


def _glob(name: str) -> str:
    """Return the glob that matches a name only. The network itself, if it is a layer, has none."""
    if not name:
        return "*"
    escaped = "".join(f"[{char}]" if char in _SPECIAL else char for char in name)
    return f"[{name[0]}]{name[1:]}" if name in _KEYWORDS else escaped
