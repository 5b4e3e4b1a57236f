"""How a compiled network runs, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass

from quantlab.generation.execution.mode import ExecutionMode
from quantlab.generation.execution.weight_bytes import WeightBytes


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A layer. output: the shape of its output, without the batch. seconds: of the layer alone in
    each mode that was measured; empty if the mode was asked for."""

    layer: str
    mode: ExecutionMode
    is_dense: bool
    output: tuple[int, ...]
    seconds: Mapping[ExecutionMode, float]
    sizes: WeightBytes


@dataclass(frozen=True, kw_only=True)
class InferenceReport:
    """rows: of all layers. others: what runs as it did, between tables, by path or name: slower.
    batch: samples of the example, on which modes were measured."""

    rows: tuple[LayerRow, ...]
    others: tuple[str, ...]
    batch: int

    @property
    def bytes_held(self) -> int:
        """The bytes of weights in memory."""
        return sum(row.sizes.held for row in self.rows)

    @property
    def bytes_read(self) -> int:
        """The bytes of weights that a run reads."""
        return sum(row.sizes.read for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{'layer':<32}{'mode':<11}{'output':<13}{'ms':>9}{'held':>11}{'read':>11}"]
        for row in self.rows:
            shape = "x".join(map(str, row.output))
            ms = f"{row.seconds[row.mode] * 1e3:.3f}" if row.seconds else ""
            mode = "dense" if row.is_dense and row.mode == "generated" else row.mode
            lines.append(
                f"{row.layer:<32}{mode:<11}{shape:<13}{ms:>9}{row.sizes.held:>11,}"
                f"{row.sizes.read:>11,}"
            )
        lines.append(f"{'all':<65}{self.bytes_held:>11,}{self.bytes_read:>11,}")
        if self.others:
            lines.append(f"as they are, between tables: {', '.join(self.others)}")
        return "\n".join(lines)
