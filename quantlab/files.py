"""Writing files so that a reader, or a crash, never meets half of one."""

import os
import re
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, sync it, rename it. Raises OSError with the path, the
    old file intact and no temporary file left."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write temporary files beside all paths, sync them, and then rename them in turn.

    Raises OSError with the path; where there is no room for all of them, all old files are intact.
    No temporary file is left.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in contents}
    path = Path()
    try:
        for path, content in contents.items():
            with temporary[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            temporary[path].replace(path)
    except OSError as error:
        for one in temporary.values():
            one.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    for folder in dict.fromkeys(path.parent for path in contents):
        sync_folder(folder)


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
