"""A program on an emulated board: files in, files out."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from quantlab.deploy.c.boards import mspdebug, qemu
from quantlab.deploy.c.boards.ending import FAULT, FILE, Ending
from quantlab.deploy.c.boards.table import Board
from quantlab.errors import VerificationError

_MODEL = 32  # BOARD_MODEL of board.h
_EMULATORS: Mapping[str, Callable[[Board, Path, int], Ending | None]] = {
    "mspdebug": mspdebug.emulate,
    "qemu-system-arm": qemu.emulate,
    "qemu-system-riscv32": qemu.emulate,
}


def run(
    board: Board, program: bytes, files: Mapping[str, bytes], results: Sequence[str], seconds: int
) -> list[bytes]:
    """Run a program; return the files that it writes.

    files: what it reads, by name. seconds: the most that it may take. Raises VerificationError if
    it fails.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, data in {**files, "model.elf": program}.items():
            (directory / file).write_bytes(data)
        ending = _EMULATORS[board.emulator](board, directory, seconds)
        complaint = _complaint(board, ending, seconds)
        if complaint:
            raise VerificationError(f"{board.core} ({board.machine}): {complaint}")
        return [(directory / file).read_bytes() for file in results]


def _complaint(board: Board, ending: Ending | None, seconds: int) -> str:
    if ending is None:
        return f"did not end in {seconds:,} seconds"
    if ending.code == FAULT:
        return f"the processor stopped with a fault; the stack has {board.stack_size:,} bytes"
    if ending.code == FILE:
        return "a file of the emulator's could not be read or written"
    if _MODEL < ending.code < FAULT:
        return f"ql_run returned {ending.code - _MODEL}, 0 expected"
    if ending.code:
        return f"{board.emulator} ended with {ending.code}: {ending.complaint.strip()}"
    return ""
