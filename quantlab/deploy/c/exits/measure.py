"""What a sample costs on a board at each exit."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from quantlab.deploy.c.boards.measure import Measured, measure
from quantlab.deploy.c.boards.table import Board
from quantlab.deploy.c.exits.model import exit_model
from quantlab.deploy.c.folder import put
from quantlab.deploy.c.kernels.choice import Encoding
from quantlab.deploy.c.kernels.table import AUTO
from quantlab.errors import check_kind
from quantlab.exits.program import NEVER, ExitProgram


def measure_exits(
    exits: ExitProgram, board: Board, encoding: Encoding = AUTO
) -> tuple[Measured, ...]:
    """Return what one `ql_run` takes that leaves at each exit, passing those before it.

    board: emulated, see `boards/table.py`. encoding: as of `c_model`. Raises UsageError for what
    does not fit on the board, VerificationError if the C does not compile.
    """
    check_kind("exits", exits, ExitProgram, "an ExitProgram")
    check_kind("board", board, Board, "a Board")
    count = len(exits.scores)
    found = []
    for number in range(count):
        thresholds = tuple(NEVER if one < number else 0 for one in range(count - 1))
        leaving = replace(exits, thresholds=thresholds)
        with TemporaryDirectory() as name:
            put(exit_model(leaving, encoding).files, Path(name))
            found.append(measure(Path(name), board))
    return tuple(found)
