"""What was measured for each layer of a network, what was chosen for it, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quantlab.sparse.calls import Call

Objective = Literal["time", "memory"]
ZerosHeldBy = Literal["pattern", "mask", "nothing", ""]


@dataclass(frozen=True, kw_only=True)
class LayerSwap:
    """A layer. sparsity: the part of its weights that is zero. calls: in one step.

    costs: seconds or bytes by candidate, empty where nothing was measured; refusals: why candidates
    were not measured; dropped: those measured once, as they took more than four times the least.
    chosen: a candidate's name. zeros_held_by: "pattern", what a sparse layer keeps; "mask";
    "nothing", where training changes zeros; or "" without zeros.
    """

    name: str
    kind: str
    sparsity: float
    calls: tuple[Call, ...]
    costs: Mapping[str, float] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    chosen: str
    reason: str
    zeros_held_by: ZerosHeldBy = ""
    dropped: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class SwapReport:
    """layers: in the order of definition."""

    objective: Objective
    layers: tuple[LayerSwap, ...]

    def __str__(self) -> str:
        """Return a table with a line for each layer; costs are in ms or KiB."""
        unit, scale = ("ms", 1e3) if self.objective == "time" else ("KiB", 1 / 1024)
        names = list(dict.fromkeys(name for layer in self.layers for name in layer.costs))
        heads = [f"{name} {unit}" for name in names]
        rows = [["layer", "kind", "zeros %", "inputs", *heads, "chosen", "zeros held by", "why"]]
        for layer in self.layers:
            costs = [_number(layer.costs.get(name), scale) for name in names]
            start = [
                layer.name or "(all)",
                layer.kind,
                f"{100 * layer.sparsity:.1f}",
                _inputs(layer.calls),
            ]
            rows.append([*start, *costs, layer.chosen, layer.zeros_held_by, _why(layer)])
        return _aligned(rows, range(4, 4 + len(names)))


def _why(layer: LayerSwap) -> str:
    reasons = [f"{name}: {why}" for name, why in layer.refusals.items()]
    if layer.dropped:
        reasons.append(f"measured once: {', '.join(layer.dropped)}")
    return "; ".join([layer.reason, *reasons])


def _inputs(calls: Sequence[Call]) -> str:
    counts = {call.shape: 0 for call in calls}
    for call in calls:
        counts[call.shape] += 1
    shapes = ["x".join(map(str, shape)) for shape in counts]
    return ", ".join(
        shape if count == 1 else f"{count} of {shape}"
        for shape, count in zip(shapes, counts.values(), strict=True)
    )


def _number(cost: float | None, scale: float) -> str:
    return "" if cost is None else f"{cost * scale:.3f}"


def _aligned(rows: Sequence[Sequence[str]], right: range) -> str:
    """Return lines with columns of one width; those in `right` end together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in right or column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
