"""Artefacts in folders: written whole, and checked against what they should be."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from quantlab.deploy.artefact import Artefact, Files, Options, Parts
from quantlab.errors import QuantLabError, UsageError
from quantlab.files import write_together
from quantlab.integer.file import REMEDY


def manifest(files: Files) -> Mapping[str, str]:
    """Return the SHA-256 of each file, by its path."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def check_places(files: Files, folder: Path) -> None:
    """Raise UsageError, with the path, where something that is no file is in the place of one, and
    for a path that none can have."""
    if "\0" in str(folder):
        raise UsageError(f"folder: {str(folder)!r} given, a path without '\\0' allowed")
    for name in files:
        path = folder / name
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: something that is no file is there; move it away")
        for above in path.parents:
            if above.exists() and not above.is_dir():
                raise UsageError(f"{above}: no folder; move it away, or choose another folder")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes from writing there. Raises UsageError while another
    one does, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UsageError(f"{folder}: another process is writing there; wait for its end") from error
    finally:
        os.close(descriptor)


def write_files(files: Files, folder: Path) -> list[Path]:
    """Write files, each in place of what is there; return their paths. Raises OSError; where there
    is no room for all of them, all stays as it is."""
    contents = {folder / name: data for name, data in files.items()}
    for path in contents:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_together(contents)
    return list(contents)


def replace_files(files: Files, folder: Path, stale: Iterable[Path]) -> list[Path]:
    """Write files, then remove stale ones; return the paths of those written. Raises OSError."""
    written = write_files(files, folder)
    for path in stale:
        path.unlink(missing_ok=True)
    return written


def complete(artefact: Artefact, parts: Parts, folder: Path, options: Options) -> None:
    """Write the files of an artefact that are not there, and check those that are.

    Raises VerificationError, with what to do, for one that is damaged or not of these parts,
    UsageError for one of another kind or that cannot be read, OSError for one that cannot be
    written.
    """
    write_files(missing(artefact, parts, folder, options), folder)


def missing(artefact: Artefact, parts: Parts, folder: Path, options: Options) -> Files:
    """Return the files of an artefact that are not there, and check those that are.

    Raises VerificationError and UsageError as `complete`.
    """
    found = {}
    for name, expected in artefact.files(parts, options).items():
        path = folder / name
        if not path.is_file():
            found[name] = expected
            continue
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        if data != expected:
            with _with_remedy():
                artefact.check(data, expected, str(path))
    return found


@contextmanager
def _with_remedy() -> Iterator[None]:
    """Let what a file is refused for end with what to do."""
    try:
        yield
    except QuantLabError as error:
        if str(error).endswith(REMEDY):
            raise
        raise type(error)(f"{error}; {REMEDY}") from error
