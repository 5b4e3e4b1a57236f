"""QEMU: a board with semihosting, and one instruction a nanosecond."""

import subprocess
from pathlib import Path

from quantlab.deploy.c.boards.ending import Ending
from quantlab.deploy.c.boards.table import Board


def emulate(board: Board, directory: Path, seconds: int) -> Ending | None:
    """Run `model.elf` in a directory; return None if it did not end."""
    command = [board.emulator, "-M", board.machine, "-icount", "shift=0", "-display", "none"]
    command += ["-monitor", "none", "-serial", "none", "-kernel", "model.elf"]
    command += ["-semihosting-config", "enable=on,target=native", *board.settings]
    try:
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return None
    return Ending(code=done.returncode, complaint=done.stderr)
