"""A program on an emulated board: files in, files out."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from quantlab.deploy.c.boards.table import Board
from quantlab.errors import VerificationError

# What board.h calls BOARD_MODEL, BOARD_FAULT and BOARD_FILE.
_MODEL, _FAULT, _FILE = 32, 64, 65


def run(
    board: Board, program: bytes, files: Mapping[str, bytes], results: Sequence[str], seconds: int
) -> list[bytes]:
    """Run a program; return the files that it writes.

    files: what it reads, by name. seconds: the most that it may take. Raises VerificationError if
    it fails.
    """
    command = [board.emulator, "-M", board.machine, "-icount", "shift=0", "-display", "none"]
    command += ["-monitor", "none", "-serial", "none", "-kernel", "model.elf"]
    command += ["-semihosting-config", "enable=on,target=native", *board.settings]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, data in {**files, "model.elf": program}.items():
            (directory / file).write_bytes(data)
        try:
            done = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired as error:
            raise VerificationError(
                f"{board.core} ({board.machine}): did not end in {seconds:,} seconds"
            ) from error
        if done.returncode:
            complaint = _complaint(board, done.returncode, done.stderr)
            raise VerificationError(f"{board.core} ({board.machine}): {complaint}")
        return [(directory / file).read_bytes() for file in results]


def _complaint(board: Board, code: int, said: str) -> str:
    if code == _FAULT:
        return f"the processor stopped with a fault; the stack has {board.stack_size:,} bytes"
    if code == _FILE:
        return "a file of the emulator's could not be read or written"
    if _MODEL < code < _FAULT:
        return f"ql_run returned {code - _MODEL}, 0 expected"
    return f"{board.emulator} ended with {code}: {said.strip()}"
