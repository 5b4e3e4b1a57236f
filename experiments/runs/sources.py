"""The source code of a run: copies in its folder, compared with the code of today.

run.json names the folder of the copies and has the SHA-256 of each; both are of the code that
trained the run last. Code that differs in comments, docstrings or layout alone is the same.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runs import environment
from experiments.runs.code_difference import NoProgramError, first_difference
from experiments.runs.files import storage_error, write_atomically
from experiments.runs.folder import RunFolder
from quantlab.errors import UsageError

KEY = "sources"
CHANGED = "changed_code"
_FOLDER = re.compile(rf"{KEY}[0-9]*")


@dataclass(frozen=True, kw_only=True)
class Change:
    """A file that differs from the run's.

    place: its path, with the first line that differs if that is known. kind: `changed`, `added` or
    `removed`.
    """

    place: str
    kind: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}"


def keep(folder: RunFolder, sources: Mapping[str, bytes], before: Any = None) -> dict[str, Any]:
    """Copy source files into a run's folder; return their entry for run.json.

    before: the entry whose copies stay as they are. Raises UsageError if the disk is full.
    """
    name = KEY if before is None else f"{KEY}{int(before['folder'].removeprefix(KEY) or 0) + 1}"
    for path, content in sources.items():
        copy = folder.path / name / path
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(copy.parent, error) from error
        write_atomically(copy, content)
    return {"folder": name, "sha256": {path: _sha256(code) for path, code in sources.items()}}


def changes(
    folder: RunFolder, record: Mapping[str, Any], sources: Mapping[str, bytes]
) -> list[Change]:
    """Return how `sources` differ from a run's, by path. Raises UsageError for a damaged record."""
    entry = record[KEY]
    if not _is_entry(entry):
        raise UsageError(f"{folder.path / 'run.json'}: {KEY}: no folder with hashes of its files")
    hashes = entry["sha256"]
    return list(_changes(folder, entry["folder"], hashes, sources))


def _changes(
    folder: RunFolder, copies: str, hashes: Mapping[str, str], sources: Mapping[str, bytes]
) -> Iterator[Change]:
    for path in sorted({*hashes, *sources}):
        if path not in hashes:
            yield Change(place=path, kind="added")
        elif path not in sources:
            yield Change(place=path, kind="removed")
        elif _sha256(sources[path]) != hashes[path]:
            old = _read(folder.path / copies / path, hashes[path])
            place = _place(path, old, sources[path])
            if place is not None:
                yield Change(place=place, kind="changed")


def _place(path: str, old: bytes | None, new: bytes) -> str | None:
    """Return a path with the first line that differs, alone if that is not known; None if both
    programs are the same."""
    if old is None:
        return path
    try:
        line = first_difference(old, new)
    except NoProgramError:
        return path
    return None if line is None else f"{path}:{line}"


def _read(copy: Path, sha256: str) -> bytes | None:
    """Return a copy, None if it cannot be read or is not what it was."""
    try:
        content = copy.read_bytes()
    except OSError:
        return None
    return content if _sha256(content) == sha256 else None


def describe(found: Sequence[Change], run: str) -> str:
    """Return one line about changes that nobody has accepted."""
    first, *others = found
    plural = "s" if len(others) > 1 else ""
    more = f" (and {len(others)} other file{plural})" if others else ""
    return (
        f"{first} since {run} was trained{more}; --changed-code=accept goes on with the code of "
        "today, and run.json says so"
    )


def noted(record: Mapping[str, Any], found: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the entry of run.json for changed code, with the changes that are accepted now."""
    now = {
        "started": environment.now(),
        "command": environment.command(),
        "files": [str(change) for change in found],
    }
    return [*record.get(CHANGED, []), now]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and _FOLDER.fullmatch(str(entry.get("folder"))) is not None
        and isinstance(entry.get("sha256"), dict)
    )
