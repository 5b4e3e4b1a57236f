"""Changes of the file system that can be undone."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .error import FILE, StorageError

HINTS = {
    errno.ENOSPC: "make room, or ",
    errno.EDQUOT: "make room, or ",
    errno.EACCES: "make it writable, or ",
    errno.EPERM: "make it writable, or ",
    errno.EROFS: "make it writable, or ",
}


class Step(Protocol):
    """One change of the file system; `str` of it says what was done."""

    @property
    def path(self) -> Path: ...

    def make(self) -> None: ...

    def undo(self) -> None: ...


@dataclass(frozen=True)
class Folder:
    path: Path

    def make(self) -> None:
        self.path.mkdir()

    def undo(self) -> None:
        self.path.rmdir()

    def __str__(self) -> str:
        return f"made the folder {self.path}"


@dataclass(frozen=True)
class File:
    path: Path
    text: str

    def make(self) -> None:
        with self.path.open("x", encoding="utf-8") as file:
            try:
                file.write(self.text)
                file.flush()
            except OSError:
                self.undo()
                raise

    def undo(self) -> None:
        self.path.unlink()

    def __str__(self) -> str:
        return f"made the file {self.path}"


@dataclass(frozen=True)
class Link:
    """A symbolic link; `old` is where it pointed before, None for a new one."""

    path: Path
    target: str
    old: str | None = None

    def make(self) -> None:
        self._point(self.target)

    def undo(self) -> None:
        if self.old is None:
            self.path.unlink()
        else:
            self._point(self.old)

    def _point(self, target: str) -> None:
        if self.old is None:
            self.path.symlink_to(target)
            return
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        beside.symlink_to(target)
        beside.replace(self.path)  # at no time is the link missing

    def __str__(self) -> str:
        if self.old is None:
            return f"made the link {self.path} -> {self.target}"
        return f"turned the link {self.path} -> {self.target}; what it held stays in {self.old}"


@dataclass(frozen=True)
class Adoption:
    """The record of a storage that changes hands. Always the last step of its storage."""

    path: Path
    text: str
    old: str

    def make(self) -> None:
        beside = File(self.path.with_name(f".{self.path.name}.{os.getpid()}"), self.text)
        beside.make()
        beside.path.replace(self.path)

    def undo(self) -> None:
        Adoption(self.path, self.old, self.text).make()

    def __str__(self) -> str:
        return f"took over {self.path.parent}, which belonged to another checkout"


def apply(steps: Sequence[Step]) -> None:
    """Make all steps, or none. Raises StorageError."""
    made: list[Step] = []
    try:
        for step in steps:
            step.make()
            made.append(step)
    except BaseException as error:
        left = [step for step in reversed(made) if not _undone(step)]
        if not isinstance(error, OSError):
            raise
        outcome = f"could not undo '{left[0].path}'" if left else "nothing was changed"
        hint = HINTS.get(error.errno or 0, "")
        raise StorageError(
            f"cannot make '{step.path}': {error.strerror}; {outcome}; "
            f"{hint}name another folder in {FILE}"
        ) from None


def _undone(step: Step) -> bool:
    try:
        step.undo()
    except OSError:
        return False
    return True
