"""What the objects of a compressed network are compiled for."""

from collections.abc import Sequence
from shutil import which

from quantlab.deploy.c.boards.program import command_of
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.errors import UsageError, check_kind, did_you_mean

HOST = "host"


def command_for(board: str) -> Sequence[str]:
    """Return the command that compiles for a board, or for this machine. Raises UsageError for an
    unknown board, and for one whose compiler is missing."""
    check_kind("board", board, str, "a name")
    if board == HOST:
        return ("cc",)
    if board not in BOARDS:
        allowed = [HOST, *BOARDS]
        raise UsageError(
            f"board: '{board}' given, {', '.join(allowed)} allowed{did_you_mean(board, allowed)}"
        )
    found = BOARDS[board]
    if which(found.compiler) is None:
        raise UsageError(
            f"board: '{board}' needs {found.compiler}: sudo apt-get install "
            f"{found.programs[found.compiler]}; '{HOST}' measures objects of this machine instead"
        )
    return command_of(found)
