"""A model's own test, on a board."""

import json
from pathlib import Path

from quantlab.deploy.c.boards.emulator import run
from quantlab.deploy.c.boards.program import compiled
from quantlab.deploy.c.boards.table import Board
from quantlab.errors import VerificationError

_SECONDS = 600


def selftest(folder: Path, board: Board) -> None:
    """Run `ql_selftest` of the model in a folder, with its golden vectors if it has some.

    Raises VerificationError if it fails or the files do not compile, UsageError for what does not
    fit on the board.
    """
    manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    names = list(manifest["inputs"]), list(manifest["outputs"])
    program = compiled(board, folder, *names, ["selftest.c"], ["-DCALL_SELFTEST"])
    (code,) = run(board, program, {}, ["code"], _SECONDS)
    if code != b"\0":
        raise VerificationError(
            f"{board.core} ({board.machine}): ql_selftest returned {code[0]}, 0 expected"
        )
