"""What can be asked of a model in C: how weights are stored, and what it has to fit into."""

from collections.abc import Mapping
from dataclasses import dataclass

from quantlab.deploy.artefact import Options
from quantlab.deploy.c.boards.table import BOARDS, Board
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.kernels.table import AUTO, CHOICES, KERNELS
from quantlab.deploy.c.sizes import Sizes, check_limits
from quantlab.errors import UsageError, did_you_mean

ENCODINGS = (*CHOICES, *KERNELS)
YES = "yes"
OPTIONS: Mapping[str, str] = {
    "encoding": f"of weights in C: {', '.join(ENCODINGS)}; by default {AUTO}",
    "ram": "the most bytes of the C's arena, inputs and outputs",
    "flash": "the most bytes of the C's constants",
    "vectors": "samples for the C's headers/input.h: here how many of the test samples",
    "board": f"that the C has to fit on: {', '.join(BOARDS)}",
    "intermittent": "the C survives power failures in memory that keeps its contents",
    "energy": "with intermittent: the instructions of a Cortex-M4 that a charge is enough for",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options, read. ram, flash: bytes; None for no limit. vectors: as `vectors.to_text` writes
    them, None for none. intermittent: whether the power may fail. energy: as of `Power`."""

    encoding: str = AUTO
    vectors: str | None = None
    ram: int | None = None
    flash: int | None = None
    board: Board | None = None
    intermittent: bool = False
    energy: int | None = None

    @property
    def power(self) -> bool | Power:
        """The power, as `c_model` takes it."""
        return Power(energy=self.energy) if self.intermittent else False

    def check(self, sizes: Sizes) -> None:
        """Raise UsageError, with what is needed and given, for a model that takes more."""
        check_limits(sizes, ram=self.ram, flash=self.flash)
        if self.board is not None:
            check_limits(
                sizes,
                ram=self.board.ram.size - self.board.stack_size,
                flash=self.board.flash.size,
                place=f"{self.board.core} ({self.board.machine}), ",
            )


def read(options: Options) -> Asked:
    """Return options in their types. Raises UsageError for a value that is not allowed; the names
    of encodings are checked when they are used."""
    name = options.get("board")
    if name is not None and name not in BOARDS:
        raise UsageError(
            f"--board: '{name}' given, {', '.join(BOARDS)} allowed{did_you_mean(name, BOARDS)}"
        )
    intermittent = options.get("intermittent")
    if intermittent not in (None, YES):
        raise UsageError(f"--intermittent: '{intermittent}' given, {YES} allowed")
    energy = _number("energy", options, "instructions")
    if energy is not None and intermittent is None:
        raise UsageError(f"--energy: {energy} given, no effect without --intermittent")
    return Asked(
        encoding=options.get("encoding", AUTO),
        vectors=options.get("vectors"),
        ram=_number("ram", options, "bytes"),
        flash=_number("flash", options, "bytes"),
        board=None if name is None else BOARDS[name],
        intermittent=intermittent is not None,
        energy=energy,
    )


def _number(name: str, options: Options, unit: str) -> int | None:
    given = options.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and int(given) > 0):
        raise UsageError(f"--{name}: '{given}' given, a whole number of {unit} from 1 allowed")
    return int(given)
