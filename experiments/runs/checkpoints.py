"""Checkpoints that survive a kill at any moment, and are never trusted blindly.

In a fold's `saves/` lie last.ckpt, previous.ckpt (the one before), best.ckpt and every n-th
epoch's, epoch0005.ckpt; manifest.json holds the SHA-256 of each. A new hash enters the manifest
before its file takes the name, and the old one stays until the next write, so there is no moment
at which a good file is without its hash.
"""

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import torch

from experiments.runs.files import (
    read_json,
    storage_error,
    write_atomically,
    write_json,
)
from quantlab.errors import UsageError
from quantlab.files import sync_folder

LAST, PREVIOUS, BEST = "last", "previous", "best"


class Checkpoints:
    """The checkpoints of one fold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._on_disk: dict[str, str] = {}

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.ckpt"

    def save(self, names: Sequence[str], state: dict[str, Any]) -> None:
        """Write one state under each of the names, in their order; `last` pushes the one before to
        `previous`. Raises UsageError, with all earlier checkpoints intact, if the disk is full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / "fresh.part"
        digest = _write(state, fresh)
        hashes = self._hashes()
        for name in names:
            hashes[name] = [digest, *self._digest_on_disk(name)]
        # A damaged `last` must not push out the good one before it.
        has_previous = LAST in names and bool(self._digest_on_disk(LAST))
        if has_previous:
            hashes[PREVIOUS] = [*self._digest_on_disk(LAST), *self._digest_on_disk(PREVIOUS)]
        write_json(self._manifest, hashes)
        for name in names:
            if name == LAST and has_previous:
                _give_name(self.path(LAST), self.path(PREVIOUS))
                self._on_disk[PREVIOUS] = self._on_disk[LAST]
            _give_name(fresh, self.path(name))
            self._on_disk[name] = digest
        fresh.unlink()
        sync_folder(self.folder)

    def load(self, name: str, say: Callable[[str], None]) -> dict[str, Any]:
        """Read a checkpoint whose hash is right. A damaged `last` falls back to `previous`, and
        says so. Raises UsageError if there is none."""
        complaint = self._complaint(name)
        if complaint is None:
            return _read(self.path(name))
        if name == LAST and self._complaint(PREVIOUS) is None:
            say(f"{complaint}; going on from {PREVIOUS}.ckpt, the one before")
            return _read(self.path(PREVIOUS))
        raise UsageError(complaint)

    def has(self, name: str) -> bool:
        return self.path(name).exists() or (name == LAST and self.path(PREVIOUS).exists())

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.ckpt"))

    def prune_epochs(self, keep_last: int) -> None:
        """Remove the oldest of the epochs' checkpoints."""
        for path in sorted(self.folder.glob("epoch*.ckpt"))[:-keep_last]:
            path.unlink(missing_ok=True)

    def _complaint(self, name: str) -> str | None:
        path = self.path(name)
        if not path.exists():
            return f"{path}: no such checkpoint; there are: {', '.join(self.names()) or 'none'}"
        known = self._hashes().get(name, [])
        if hashlib.sha256(path.read_bytes()).hexdigest() not in known:
            return f"{path}: damaged (its SHA-256 is not the one in {self._manifest.name})"
        return None

    def _digest_on_disk(self, name: str) -> list[str]:
        """The hash of a checkpoint as it lies there, if it does and the manifest vouches for it."""
        if not self.path(name).exists():
            return []
        if name not in self._on_disk and self._complaint(name) is None:
            self._on_disk[name] = hashlib.sha256(self.path(name).read_bytes()).hexdigest()
        return [self._on_disk[name]] if name in self._on_disk else []

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _hashes(self) -> dict[str, list[str]]:
        if not self._manifest.exists():
            return {}
        hashes: dict[str, list[str]] = read_json(self._manifest)
        if not isinstance(hashes, dict) or not all(isinstance(h, list) for h in hashes.values()):
            raise UsageError(f"{self._manifest}: expected a list of hashes for each checkpoint")
        return hashes


def check_identity(state: Mapping[str, Any], problem: str, topology: str, file: str) -> None:
    """Raise UsageError if a checkpoint is of another problem or topology."""
    theirs = f"{state.get('problem')}/{state.get('topology')}"
    if theirs != f"{problem}/{topology}":
        raise UsageError(f"{file}: a checkpoint of {theirs}; expected one of {problem}/{topology}")


class _Sink:
    """Takes what torch writes: to a file, and into a hash. Errors of the file are kept, since torch
    would turn them into others; the interpreter is free while the file takes the bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: memoryview) -> int:
        self._hash.update(data)
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        pass

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _write(state: dict[str, Any], path: Path) -> str:
    """Write a state and sync it; return its SHA-256. Raises UsageError, the file gone."""
    try:
        with path.open("wb", buffering=0) as file:
            sink = _Sink(file)
            torch.save(state, cast(IO[bytes], sink))
            if sink.error is not None:
                raise sink.error
            os.fsync(file.fileno())
            return sink.hexdigest()
    except OSError as error:
        path.unlink(missing_ok=True)
        raise storage_error(path, error) from error


def _give_name(file: Path, name: Path) -> None:
    """Make `name` another name of `file`, in place of what had it: there is no moment without."""
    second = name.with_name(f".{name.name}.fresh")
    second.unlink(missing_ok=True)
    try:
        os.link(file, second)
    except OSError:  # a file system without hard links
        write_atomically(second, file.read_bytes())
    second.replace(name)


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UsageError(f"{path}: no checkpoint of plain data and tensors") from error
    if not isinstance(state, dict):
        raise UsageError(f"{path}: holds a {type(state).__name__}; expected a mapping")
    return state
