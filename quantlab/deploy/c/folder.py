"""The folder of a model: nothing else lies in it, and nothing of an earlier model stays."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quantlab.deploy.artefact import Files, Options
from quantlab.errors import UsageError
from quantlab.files import is_temporary

MANIFEST = "model.json"
_STORED = ("encoding", "vectors", "intermittent", "energy")


def leftovers(files: Files, folder: Path, *, has_parts: bool = True) -> list[Path]:
    """Return the files of earlier models in a folder that new ones do not replace.

    files: the new ones, by their paths in the folder. has_parts: whether a model in a folder of it
    is a part of an earlier one; otherwise it is another model. Raises UsageError, with the path,
    for a file that no earlier model has, or that was changed since.
    """
    found = []
    for path, expected in _files(folder, folder, {}, int(has_parts)):
        if is_temporary(path):  # of a process that was killed while it wrote
            found.append(path)
            continue
        name = path.relative_to(folder).as_posix()
        data = b"" if path.is_symlink() else path.read_bytes()
        if hashlib.sha256(data).hexdigest() != expected and data != files.get(name):
            raise UsageError(
                f"{path}: no file of an earlier export, or changed since; move it away, or choose "
                "another folder"
            )
        if name not in files:
            found.append(path)
    return found


def put(files: Files, folder: Path) -> None:
    """Write files into a folder that nobody else uses."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def stored_options(folder: Path) -> Options:
    """Return the options that the model in a folder was written with, as far as it says them."""
    said = _said(folder / MANIFEST)
    given = {name: said.get(name) for name in _STORED}
    return {name: value for name, value in given.items() if isinstance(value, str)}


def _files(
    folder: Path, home: Path, hashes: Mapping[str, str], levels: int
) -> Iterator[tuple[Path, str | None]]:
    """Yield all that is no folder, and the hash that an earlier model has of it, None of no file.

    home: of the model that the folder is part of. hashes: those in its manifest. levels: of folders
    that models may lie in, below this one. What comes first is read first, for a folder may have
    any number of other files.
    """
    manifest = folder / MANIFEST
    if levels >= 0 and manifest.is_file():
        home, hashes = folder, _hashes(manifest)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, home, hashes, levels - 1)
        else:
            yield path, hashes.get(path.relative_to(home).as_posix())


def _hashes(manifest: Path) -> Mapping[str, str]:
    """Return the hashes in a manifest, its own too; none of a file that is no manifest."""
    hashes = _said(manifest).get("sha256")
    if not isinstance(hashes, dict):
        return {}
    return {**hashes, MANIFEST: hashlib.sha256(manifest.read_bytes()).hexdigest()}


def _said(path: Path) -> Mapping[str, Any]:
    """Return what a manifest says, nothing of a file that is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
