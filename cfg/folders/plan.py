"""The steps that bring the storages and a problem to what they should be."""

from __future__ import annotations

import json
import keyword
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .error import FILE, StorageError
from .hard_folders import Storage, is_checkout
from .steps import Adoption, File, Folder, Link, Step


@dataclass(frozen=True)
class Owner:
    """Whose a storage is: a checkout, and the host on which that is to be found."""

    checkout: Path
    host: str

    def to_json(self) -> str:
        return json.dumps({"checkout": str(self.checkout), "host": self.host}, indent=4) + "\n"

    def is_gone(self, host: str) -> bool:
        """Say whether the checkout is no more, as far as `host` can tell."""
        return self.host == host and not is_checkout(self.checkout, if_hidden=True)

    def __str__(self) -> str:
        return f"the checkout '{self.checkout}' of the host '{self.host}'"


def missing_folders(path: Path) -> list[Step]:
    """Plan `path` and its missing parents. Raises StorageError if something else is in the way."""
    missing: list[Step] = []
    while not os.path.lexists(path):
        missing.insert(0, Folder(path))
        path = path.parent
    if not path.is_dir():
        what = "a link that leads nowhere" if path.is_symlink() else "a file"
        raise StorageError(f"'{path}' is {what} where a folder must be; move it away")
    return missing


def read_owner(record: Path) -> Owner | None:
    """Read whose a storage is; None if the record is damaged."""
    try:
        owner = json.loads(record.read_bytes())
        return Owner(Path(owner["checkout"]), str(owner["host"]))
    except (ValueError, TypeError, KeyError):
        return None


def plan_storage(checkout: Path, storage: Storage, *, adopt: bool) -> list[Step]:
    """Plan the replica of the problems home, and the record of whose it is."""
    steps = missing_folders(storage.home / "problems")
    if storage.is_inside:
        return steps
    me = Owner(checkout, os.uname().nodename)
    if not os.path.lexists(storage.record):
        return [*steps, File(storage.record, me.to_json())]
    owner = read_owner(storage.record)
    if owner and owner.checkout == checkout:
        return steps  # whatever the host: homes are shared by the machines of a cluster
    if not adopt and not (owner and owner.is_gone(me.host)):
        whose = f"belongs to {owner}" if owner else f"has a damaged '{storage.record.name}'"
        raise StorageError(
            f"'{storage.home}' {whose}; name another folder in {FILE}, "
            "or take it over: bash cfg/storage.sh --adopt"
        )
    recorded = storage.record.read_text(encoding="utf-8", errors="replace")
    return [*steps, Adoption(storage.record, me.to_json(), recorded)]


def plan_problem(
    checkout: Path, storages: Sequence[Storage], name: str, *, relink: bool
) -> list[Step]:
    """Plan the real folders, the package and the links of the problem `name`."""
    package = checkout / "problems" / name
    steps = [step for storage in storages for step in missing_folders(storage.real_folder(name))]
    steps += missing_folders(package)
    init = package / "__init__.py"
    if not os.path.lexists(init):
        steps.append(
            File(init, f'"""The problem {name}: its data, its meter, its topologies."""\n')
        )
    elif not init.is_file():
        raise StorageError(f"'{init}' is not a file; move it away")
    is_home = Path(os.path.realpath(package)) == package
    for storage in storages:
        link, real = package / storage.key, storage.real_folder(name)
        # Relative to relative, so that a checkout with its storage inside can be moved.
        is_short = storage.is_relative and is_home
        steps += plan_link(
            link, real, os.path.relpath(real, package) if is_short else str(real), relink=relink
        )
    return steps


def plan_link(link: Path, real: Path, target: str, *, relink: bool) -> list[Step]:
    """Plan `link` with the text `target`, which leads to the folder `real`."""
    if not os.path.lexists(link):
        return [Link(link, target)]
    if link.is_symlink():
        old = str(link.readlink())
        if os.path.realpath(link) == os.path.realpath(real):
            return []
        if relink:
            return [Link(link, target, old)]
        raise StorageError(
            f"'{link}' links to '{old}', but by {FILE} it should link to '{real}'; correct the "
            f"file, or turn the link: bash cfg/problem.sh --relink {link.parent.name}"
        )
    here, there = shlex.quote(str(link)), shlex.quote(str(real))
    if not link.is_dir():
        raise StorageError(f"'{link}' is a file where a link must be; move it away")
    raise StorageError(
        f"'{link}' is a folder where a link must be; move what it holds, then run this again: "
        f"mkdir -p {there} && cp -a {here}/. {there} && rm -r {here}"
    )


def check_name(name: str, others: Sequence[str]) -> None:
    """Check a problem's name; `others` are the names taken. Raises StorageError."""
    if not (name.isascii() and name.isidentifier() and name[0] != "_") or keyword.iskeyword(name):
        raise StorageError(
            f"{name!r} cannot name a problem, since it is a Python package: a letter, then "
            "letters, digits and '_', no Python keyword"
        )
    for other in others:
        if other != name and other.lower() == name.lower():
            raise StorageError(f"'{name}' is the problem '{other}' but for case; write '{other}'")
