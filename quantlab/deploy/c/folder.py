"""The folder of a model: nothing else lies in it, and nothing of an earlier model stays."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quantlab.deploy.artefact import Files, Options
from quantlab.errors import UsageError

MANIFEST = "model.json"
_STORED = ("encoding", "vectors")


def leftovers(files: Files, folder: Path) -> list[Path]:
    """Return the files of earlier models in a folder that new ones do not replace.

    files: the new ones, by their paths in the folder. Raises UsageError, with the path, for a file
    that no earlier model has, or that was changed since.
    """
    found = []
    manifests: dict[Path, Mapping[str, str]] = {
        path.parent: _manifest(path) for path in sorted(folder.rglob(MANIFEST))
    }
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        data = b"" if path.is_symlink() else path.read_bytes()
        if not _is_ours(path, data, manifests) and data != files.get(name):
            raise UsageError(
                f"{path}: no file of an earlier export, or changed since; move it away, or choose "
                "another folder"
            )
        if name not in files:
            found.append(path)
    return found


def stored_options(folder: Path) -> Options:
    """Return the options that the model in a folder was written with, as far as it says them."""
    said = _said(folder / MANIFEST)
    given = {name: said.get(name) for name in _STORED}
    return {name: value for name, value in given.items() if isinstance(value, str)}


def _files(folder: Path) -> Iterator[Path]:
    """Yield all that is no folder, sorted."""
    return (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())


def _is_ours(path: Path, data: bytes, manifests: Mapping[Path, Mapping[str, str]]) -> bool:
    home = next((above for above in path.parents if above in manifests), None)
    if home is None:
        return False
    name = path.relative_to(home).as_posix()
    if name == MANIFEST:
        return bool(manifests[home])
    return hashlib.sha256(data).hexdigest() == manifests[home].get(name)


def _manifest(path: Path) -> Mapping[str, str]:
    """Return the hashes in a manifest."""
    hashes = _said(path).get("sha256")
    return hashes if isinstance(hashes, dict) else {}


def _said(path: Path) -> Mapping[str, Any]:
    """Return what a manifest says, nothing of a file that is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
