"""What storage.sh and problem.sh do: the folders of cfg/hard_folders.json and the links to them.

The file system is read first and everything that is wrong is raised as a StorageError; the outcome
is a list of steps, which are then made in order, or undone when one of them fails. A second run
finds no steps. Needs nothing but Python 3.9, so that it works before an environment is there
(which is also why the dataclasses are not keyword-only).
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import errno
import fcntl
import io
import json
import keyword
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

KEYS = ("data", "logs")
FILE = "cfg/hard_folders.json"
HOME = "QuantLab"  # whatever the checkout itself is called
OPTIONS = {"storage.sh": "--adopt", "problem.sh": "--relink"}
HINTS = {
    errno.ENOSPC: "make room, or ",
    errno.EDQUOT: "make room, or ",
    errno.EACCES: "make it writable, or ",
    errno.EPERM: "make it writable, or ",
    errno.EROFS: "make it writable, or ",
}


class StorageError(ValueError):
    """One line that says what is wrong and what to do; nothing was changed."""


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


@contextlib.contextmanager
def lock(checkout: Path) -> Iterator[None]:
    """Let one run at a time work on `checkout`, so that none undoes what another relies on."""
    with contextlib.ExitStack() as stack:
        # Where files cannot be locked (some network file systems) or the file is missing, a run
        # goes on alone: its steps refuse what is there already.
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context((checkout / FILE).open("rb")), fcntl.LOCK_EX)
        yield


def parse_arguments(script: str, arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names given and whether the script's one option is."""
    option = OPTIONS[script]
    for argument in arguments:
        if argument.startswith("-") and argument != option:
            raise StorageError(f"'{argument}': unknown option; allowed are {option} and --help")
    names = [argument for argument in arguments if argument != option]
    expected = 1 if script == "problem.sh" else 0
    if len(names) < expected:
        raise StorageError(f"the problem's name is missing: bash cfg/{script} NAME")
    if len(names) > expected:
        allowed = "one problem at a time" if expected else "no names are taken"
        raise StorageError(f"'{names[expected]}': unexpected; {allowed}")
    return names, option in arguments


def run(checkout: Path, script: str, arguments: Sequence[str]) -> list[str]:
    """Do the script's work; return the lines that say what was done. Raises StorageError."""
    names, is_option = parse_arguments(script, arguments)
    problems = checkout / "problems"
    if names:
        taken = [path.name for path in problems.iterdir() if path.is_dir()]
        check_name(names[0], sorted(taken))
    with lock(checkout):
        storages = read_storages(checkout)
        plan: list[Step] = []
        for storage in storages:
            plan += plan_storage(checkout, storage, adopt=is_option and not names)
        for name in names:
            plan += plan_problem(checkout, storages, name, relink=is_option)
        # Both storages may be one, perhaps under two names; adoptions are hardest to undo: last.
        unique = {(os.path.realpath(step.path.parent), step.path.name): step for step in plan}
        steps = sorted(unique.values(), key=lambda step: isinstance(step, Adoption))
        apply(steps)
    if not names:
        done = [f"{storage.key}: {storage.home / 'problems'}" for storage in storages]
        return [str(step) for step in steps] or [f"nothing to do: {', '.join(done)}"]
    if not steps:
        return [f"nothing to do: problems/{names[0]} is complete"]
    return [str(step) for step in steps] + next_steps(problems / names[0])


def next_steps(package: Path) -> list[str]:
    """Say what is still to be written or installed by hand."""
    missing = [name for name in ("data.py", "meter.py") if not (package / name).is_file()]
    if not any((folder / "network.py").is_file() for folder in package.iterdir()):
        missing.append("<Topology>/ (preprocess.py network.py postprocess.py config.yaml)")
    lines = []
    if missing:
        lines.append(f"next: write in {package}: {', '.join(missing)}; CONTRIBUTING.md shows how")
    if not any((package / "data").iterdir()):
        lines.append(f"next: put the data set into {package / 'data'}")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Run `storage.py storage.sh|problem.sh [argument ...]`; return the exit code."""
    script = arguments[0]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be text
    try:
        lines = run(Path(__file__).resolve().parent.parent, script, arguments[1:])
    except StorageError as error:
        message = str(error)
    except OSError as error:
        message = f"cannot read '{error.filename}': {error.strerror}"
    except KeyboardInterrupt:
        return 130
    else:
        sys.stdout.write("".join(line + "\n" for line in lines))
        return 0
    one_line = message.replace("\n", "\\n").replace("\r", "\\r")
    sys.stderr.write(f"{script}: {one_line}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
