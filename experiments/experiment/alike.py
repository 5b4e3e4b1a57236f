"""Whether all hosts of a run have the same program, packages, configuration and kind of device."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.experiment.config import Config, as_plain
from experiments.library import HOME, Library
from experiments.processes.session import Session
from experiments.runs import environment
from quantlab.errors import UsageError

_PROGRAM = ("main.py", "experiments", "quantlab")


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What a process runs with. values: of its device, packages and keys of the
    configuration, by name; code: hashes by path."""

    host: str
    values: Mapping[str, str]
    code: Mapping[str, str]


def check_alike(session: Session, config: Config, library: Library) -> None:
    """Raise UsageError, on every rank, if a process of another host runs with something else than
    rank 0. Processes of one host share their files."""
    communicator = session.communicator
    if not communicator.has_hosts:
        return
    difference = first_difference(communicator.gather(_equipment(session, config, library)))
    if difference is not None:
        error = UsageError(f"{difference}; all hosts of a run need the same")
        error.is_told = not communicator.is_root
        raise error


def first_difference(equipment: Sequence[Equipment]) -> str | None:
    """Return a line on what the first process that differs has otherwise than rank 0."""
    root = equipment[0]
    for other in equipment[1:]:
        for name in sorted({*root.values, *other.values}):
            ours, theirs = root.values.get(name, "none"), other.values.get(name, "none")
            if ours != theirs:
                return f"{other.host}: {name}: {theirs}, but {ours} on {root.host}"
        for path in sorted({*root.code, *other.code}):
            if root.code.get(path) != other.code.get(path):
                return f"{other.host}: {path}: other code than on {root.host}"
    return None


def _equipment(session: Session, config: Config, library: Library) -> Equipment:
    code = {path: hashlib.sha256(source).hexdigest() for path, source in library.sources.items()}
    return Equipment(
        host=os.uname().nodename,
        values={
            "device": session.device.type,
            **environment.packages(),
            **dict(_flat(as_plain(config), "")),
        },
        code={**code, **{name: _hash_of_program(name) for name in _PROGRAM}},
    )


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the values of a configuration as a command line names and writes them."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, repr(value)


def _hash_of_program(name: str) -> str:
    top = HOME / name
    files = [top] if top.is_file() else sorted(top.rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(HOME)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
