"""Writing files so that a reader, or a crash, never meets half of one."""

import os
import re
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, sync it, rename it. Raises OSError with the path, the
    old file intact and no temporary file left."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def is_temporary(path: Path) -> bool:
    """Return whether a file is one that `write_atomically` left when its process was killed."""
    return re.fullmatch(r"\..+\.\d+\.part", path.name) is not None


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
