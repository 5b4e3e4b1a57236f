"""Writing files so that a reader, or a crash, never meets half of one."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from quantlab.errors import UsageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file beside `path`, sync it, rename it. Raises UsageError with the path and
    the reason, the old file intact and no temporary file left."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(path, error) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UsageError with the path if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON ({error})") from error


def storage_error(path: Path, error: OSError) -> UsageError:
    """Return what to tell about a failed write."""
    hint = "; free some space, or point cfg/hard_folders.json elsewhere, and resume the run"
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return UsageError(f"{path}: cannot be written: {error.strerror}{hint if is_full else ''}")
