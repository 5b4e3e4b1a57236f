"""One process a folder: chDB's own message to the second one is empty."""

import fcntl
import os
from pathlib import Path

from quantlab.errors import UsageError

_FILE = "quantlab.lock"


class Lock:
    """A folder that is this process's alone, until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError, with the process that has it, while another one or this one has it."""
        descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = "this process" if holder == str(os.getpid()) else f"process {holder or 'unknown'}"
            raise UsageError(
                f"{folder}: {who} has this store open, one at a time allowed; wait for its end"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
