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
from quantlab.errors import UsageError, check_kind

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

    Raises UsageError for a folder without a model and for what does not fit on the board,
    VerificationError if the files do not compile or the model fails.
    """
    check_kind("folder", folder, Path, "a Path")
    check_kind("board", board, Board, "a Board")
    program = compiled(board, folder, *_tensors(folder / "model.json"), ["measure.c"])
    (measured,) = run(board, program, {}, ["measured"], _SECONDS)
    ticks, stack_bytes = struct.unpack("<QI", measured)
    with TemporaryDirectory() as directory:
        objects = model_objects(folder, Path(directory), command_of(board))
        return Measured(
            instructions=round(ticks * board.instructions_per_tick),
            stack_bytes=stack_bytes,
            flash_bytes=flash_bytes(objects),
        )


def _tensors(manifest: Path) -> tuple[list[str], list[str]]:
    """Return the names of a model's inputs and outputs."""
    try:
        said = json.loads(manifest.read_text(encoding="utf-8"))
        return list(said["inputs"]), list(said["outputs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{manifest}: no manifest of a model in C; export it anew") from error
