"""Files of runs: written whole, read with one clear line where that fails."""

import errno
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantlab import files
from quantlab.errors import UsageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write as `quantlab.files.write_atomically` does. Raises UsageError with the path and the
    reason."""
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise storage_error(path, error) from error


def as_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON that every reader takes: null for a float that is not finite."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; see `as_json`."""
    write_atomically(path, (as_json(value, indent=2) + "\n").encode())


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
    hint = "; free some space, or point cfg/hard_folders.json elsewhere; runs that began can go on"
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return UsageError(f"{path}: cannot be written: {error.strerror}{hint if is_full else ''}")
