"""What a model costs on a board: instructions, stack and flash."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from quantlab.deploy.c.boards.emulator import run
from quantlab.deploy.c.boards.objects import flash_bytes
from quantlab.deploy.c.boards.program import command_of, compiled
from quantlab.deploy.c.boards.table import Board
from quantlab.deploy.c.compiler import model_objects

_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of one `ql_run`, with its call. instructions: to within a tick of the board's clock. No
    cycles: QEMU knows neither caches nor wait states. stack_bytes: the most that were in use.
    flash_bytes: of code and constants in all objects of the model, its own test among them."""

    instructions: int
    stack_bytes: int
    flash_bytes: int


def measure(folder: Path, board: Board) -> Measured:
    """Return what the model in a folder costs on a board, without QL_TRACE.

    Raises UsageError for what does not fit on the board, VerificationError if the files do not
    compile or the model fails.
    """
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    program = compiled(
        board, folder, list(manifest["inputs"]), list(manifest["outputs"]), ["measure.c"]
    )
    (measured,) = run(board, program, {}, ["measured"], _SECONDS)
    ticks, stack_bytes = struct.unpack("<QI", measured)
    with TemporaryDirectory() as directory:
        objects = model_objects(folder, Path(directory), command_of(board))
        return Measured(
            instructions=round(ticks * board.instructions_per_tick),
            stack_bytes=stack_bytes,
            flash_bytes=flash_bytes(objects),
        )
