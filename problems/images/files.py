"""Files of a data set: verified when read, whole when written."""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantlab.errors import DataError


def read(path: Path) -> bytes:
    """Return the content of a file, unzipped if its name ends in `.gz`. Raises DataError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); delete it and fetch it again"
        ) from error


def check_md5(raw: bytes, md5: str, name: Path | str) -> None:
    """Raise DataError unless `raw` has this MD5. It finds damage, not malice."""
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"{name}: damaged: {len(raw)} bytes with md5 {found}, expected md5 {md5}; "
            "delete it and fetch it again"
        )


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file under another name, sync, rename: `path` is never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(descriptor)
        # Temporary files are private; data may be read by whom the folder's owner lets.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def download_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder inside `folder`, on the same file system; it goes in any case.

    Raises DataError if nothing can be written to `folder`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=folder, prefix=".download-")
    except OSError as error:
        raise DataError(f"{folder}: data cannot be written there ({error})") from error
    with temporary as name:
        yield Path(name)


def last_line(text: object) -> str:
    """Return the last line that is not blank: what a tool's long message comes down to."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
