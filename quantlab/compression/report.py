"""What a compression came to, as data and as text."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from quantlab.deploy.c.footprint import Footprint


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where the ramp was after an epoch. flash: bytes of the C at that moment, accuracy: of the
    network on validation samples, in percent."""

    epoch: int
    flash: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A layer with weights: how many there were, how many are left, their bits and encoding, and
    the bytes of its weights in C."""

    name: str
    weights: int
    kept: int
    bits: int
    encoding: str
    nbytes: int

    @property
    def density(self) -> float:
        """The part that is left, in percent."""
        return 100 * self.kept / self.weights if self.weights else 0.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Bytes of flash and RAM, given and taken; accuracies in percent. dense_flash: of the network
    with 8 bits and all its weights. dense_accuracy, accuracy: on validation samples, of the network
    as it was given and of the C. test_accuracy: of the C on test samples, None without. forms: the
    layers that have low-rank forms now, a line each. num_repeated: epochs
    that diverged and were trained again."""

    board: str
    flash: int
    flash_budget: int | None
    ram: int
    ram_budget: int | None
    dense_flash: int
    float_bytes: int
    dense_accuracy: float
    accuracy: float
    test_accuracy: float | None
    layers: Sequence[LayerRow]
    curve: Sequence[Point]
    footprint: Footprint
    forms: Sequence[str] = ()
    num_repeated: int = 0

    def to_json(self) -> str:
        """Return all of it."""
        said = asdict(self)
        return json.dumps(said, indent=2) + "\n"

    def __str__(self) -> str:
        width = max((len(row.name) for row in self.layers), default=5)
        lines = [f"{'layer':{width}}  weights     kept  density  bits  encoding     bytes"]
        for row in self.layers:
            lines.append(
                f"{row.name:{width}}  {row.weights:7,}  {row.kept:7,}  {row.density:5.1f} %  "
                f"{row.bits:4}  {row.encoding:8}  {row.nbytes:8,}"
            )
        lines += ["", *self.forms, ""] if self.forms else [""]
        lines += [str(self.footprint), ""]
        lines.append(f"flash: {self.flash:,} bytes{_of(self.flash_budget)} on {self.board}")
        lines.append(f"RAM: {self.ram:,} bytes{_of(self.ram_budget)}, beside the stack")
        lines.append(
            f"before: {self.float_bytes:,} bytes of floats, {self.dense_flash:,} of flash at 8 bits"
        )
        lines.append(
            f"accuracy: {self.accuracy:.2f} % of the C, {self.dense_accuracy:.2f} % of the network "
            "before, on validation samples"
        )
        if self.num_repeated:
            lines.append(f"epochs that diverged and were trained again: {self.num_repeated}")
        if self.test_accuracy is not None:
            lines.append(f"test: {self.test_accuracy:.2f} % of the C")
        return "\n".join(lines)


def _of(budget: int | None) -> str:
    return "" if budget is None else f" of {budget:,}"
