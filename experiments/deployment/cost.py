"""What an artefact costs on a board, where its compiler and its emulator are installed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from quantlab.deploy.artefact import Files, Options
from quantlab.deploy.c.artefact import FOLDER
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.selftest import selftest
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.folder import write_files
from quantlab.deploy.table import absent

_OPTION, _ARTEFACT = "board", "c"


def cost_on_board(files: Mapping[str, Files], options: Mapping[str, Options]) -> list[str]:
    """Return lines about what the C costs on the board that it has to fit on, none without one.

    files, options: of artefacts by name. Raises UsageError for a model that does not fit with its
    code and stack, VerificationError for one that fails.
    """
    name = options.get(_ARTEFACT, {}).get(_OPTION)
    return [] if name is None else list(_lines(files[_ARTEFACT], name))


def _lines(files: Files, name: str) -> Iterator[str]:
    board = BOARDS[name]
    place = f"{board.core} ({board.machine})"
    missing = absent(board.programs)
    if missing:
        packages = " ".join(board.programs[program] for program in missing)
        yield f"note: {place}: not measured without {', '.join(missing)}; install {packages}"
        return
    with TemporaryDirectory() as folder:
        write_files(files, Path(folder))
        selftest(Path(folder) / FOLDER, board)
        found = measure(Path(folder) / FOLDER, board)
    yield f"{place}: the model's own test passes"
    yield (
        f"{place}: {found.flash_bytes:,} bytes of code and constants, {found.stack_bytes:,} of "
        f"stack, {found.instructions:,} instructions (no cycles)"
    )
