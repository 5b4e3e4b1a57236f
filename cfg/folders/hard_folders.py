"""cfg/hard_folders.json: which two folders hold the data sets and the runs."""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from .error import FILE, StorageError

KEYS = ("data", "logs")
HOME = "QuantLab"  # whatever the checkout itself is called


@dataclass(frozen=True)
class Storage:
    """One of the two configured folders.

    key: `data` or `logs`. root: absolute. is_relative: whether the configured path was relative.
    is_inside: whether it lies in the checkout, and so belongs to it without a record.
    """

    key: str
    root: Path
    is_relative: bool
    is_inside: bool

    @property
    def home(self) -> Path:
        return self.root / HOME

    @property
    def record(self) -> Path:
        """The file that says which checkout the storage belongs to."""
        return self.home / "checkout.json"

    def real_folder(self, name: str) -> Path:
        """Where the problem `name` keeps its data or logs."""
        return self.home / "problems" / name / self.key


def parse(text: str) -> dict[str, str]:
    """Read the two paths, as written, from JSON or from the same with single quotes.

    Raises StorageError without the file's name, which the caller knows.
    """
    pairs = _pairs(text)
    for key, value in pairs:
        if key not in KEYS:
            nearest = difflib.get_close_matches(str(key), KEYS, n=1)
            meant = f"; did you mean '{nearest[0]}'?" if nearest else ""
            raise StorageError(f"{key!r}: unknown key, allowed are 'data' and 'logs'{meant}")
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise StorageError(f"'{key}': {value!r} is not the path of a folder in quotes")
    keys = [str(key) for key, _ in pairs]
    for key in KEYS:
        if keys.count(key) != 1:
            what = "is missing" if key not in keys else "is given twice"
            raise StorageError(
                f'\'{key}\' {what}; write {{"data": "/a/folder", "logs": "/a/folder"}}'
            )
    return {str(key): str(value) for key, value in pairs}


def _pairs(text: str) -> list[tuple[object, object]]:
    """Return the keys and values of a JSON object or a Python dict of literals."""
    problem = "it is not an object with the keys 'data' and 'logs'"
    try:
        if isinstance(json.loads(text), dict):
            return list(json.loads(text, object_pairs_hook=list))
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}: not JSON: {error.msg}"
    except (ValueError, RecursionError):
        pass  # numbers or nesting beyond all limits
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a doubtful escape in a path is an error
            tree = ast.parse(text.strip(), mode="eval").body
            mapping = ast.literal_eval(tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise StorageError(problem) from None
    if not (isinstance(tree, ast.Dict) and isinstance(mapping, dict)):
        raise StorageError(problem)
    if len(mapping) < len(tree.keys):
        raise StorageError("a key is given twice")
    return list(mapping.items())


def expand(key: str, written: str) -> Path:
    """Replace `~`, `~user`, `$NAME` and `${NAME}`; raises StorageError for what is not known."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1] or match[2])
        if not found:
            raise StorageError(f"'{key}': the variable '{match[0]}' in '{written}' is not set")
        return found

    path = Path(re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, written))
    try:
        return path.expanduser()
    except RuntimeError:
        raise StorageError(f"'{key}': the user of '{written}' is not known") from None


def read_storages(checkout: Path) -> list[Storage]:
    """Read cfg/hard_folders.json of `checkout` (absolute, without links). Raises StorageError."""
    try:
        text = (checkout / FILE).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        default = '{"data": "storage", "logs": "storage"}'
        raise StorageError(f"{FILE} is missing; the default is {default}") from None
    except UnicodeDecodeError:
        raise StorageError(f"{FILE} is not UTF-8 text") from None
    try:
        return [locate(checkout, key, expand(key, path)) for key, path in parse(text).items()]
    except StorageError as error:
        raise StorageError(f"{FILE}: {error}") from None


def locate(checkout: Path, key: str, path: Path) -> Storage:
    """Check that `path` can be a storage of `checkout`. Raises StorageError."""
    root = Path(os.path.normpath(checkout / path))
    if path.is_absolute() and not root.is_dir():
        what = "is not a folder" if os.path.lexists(root) else "is not there"
        raise StorageError(f"'{key}': '{root}' {what}; mount or create it, or name another folder")
    home = Path(os.path.realpath(root)) / HOME
    around = [folder for folder in (home, *home.parents) if is_checkout(folder, if_hidden=False)]
    if around and (
        around[0] != checkout
        or home in (checkout, checkout / HOME)
        or checkout / "problems" in home.parents
    ):
        raise StorageError(
            f"'{key}': '{root}' would mix the storage with the checkout '{around[0]}' itself; "
            "name another folder"
        )
    return Storage(key, root, is_relative=not path.is_absolute(), is_inside=bool(around))


def is_checkout(folder: Path, *, if_hidden: bool) -> bool:
    """Say whether `folder` is a checkout, `if_hidden` where the rights to look are missing."""
    try:
        return (folder / FILE).is_file()
    except PermissionError:
        return if_hidden
