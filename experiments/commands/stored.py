"""A run as it is stored, with the code that it was trained with, or that is accepted instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.command_line import Invocation
from experiments.commands.remark import remark
from experiments.configuration.documents import Document, read_document
from experiments.library import (
    LOGS,
    Library,
    Problem,
    load_library,
    load_problem,
    problem_folder,
    source_files,
    topology_folder,
)
from experiments.runs import sources
from experiments.runs.folder import RunFolder, is_compression, open_run
from quantlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What a run was made of, and its record. changes: those of its code that are accepted."""

    problem: Problem
    library: Library
    folder: RunFolder
    document: Document
    record: Mapping[str, Any]
    changes: Sequence[sources.Change]

    @property
    def is_quick(self) -> bool:
        """Whether it was trained to see whether it runs."""
        return bool(self.record.get("quick"))


def find_run(invocation: Invocation) -> tuple[RunFolder, dict[str, Any]]:
    """Return a run's folder and record. Raises UsageError for a run that does not exist, or is not
    of the topology given."""
    name = invocation.options["problem"]
    folder = open_run(name, problem_folder(name) / LOGS, invocation.number("exp_id"))
    record = folder.record()
    topology = record["topology"]
    asked = invocation.options.get("topology", topology)
    topology_folder(name, asked)
    if asked != topology:
        raise UsageError(f"--topology={asked}: {folder.name} is a run of {topology}")
    return folder, record


def stored_run(invocation: Invocation) -> StoredRun:
    """Find a run, compare its code, import that. Raises UsageError as `find_run`, and for a run
    whose code has changed, unless that is accepted."""
    folder, record = find_run(invocation)
    if is_compression(record):
        raise UsageError(
            f"--exp_id={folder.exp_id}: {folder.name} is a compression of {record['parent']}, with "
            f"C in {folder.path / 'c'}; {invocation.command} takes runs that train"
        )
    name, topology = folder.problem, record["topology"]
    changes = _changes(folder, record, source_files(name, topology))
    if changes and not invocation.has("changed_code"):
        raise UsageError(sources.describe(changes, folder.name))
    return StoredRun(
        problem=load_problem(name),
        library=load_library(name, topology),
        folder=folder,
        document=read_document(folder.config_file),
        record=record,
        changes=changes,
    )


def check_no_effect(invocation: Invocation, run: RunFolder, allowed: Sequence[str]) -> None:
    """Raise UsageError for an option that changes nothing about a compression. allowed: those that
    do, beside the ones that name the run."""
    for name in invocation.options:
        if name not in ("problem", "topology", "exp_id", *allowed):
            raise UsageError(f"--{name}: no effect on {run.name}, a compression")


def _changes(
    folder: RunFolder, record: Mapping[str, Any], code: Mapping[str, bytes]
) -> Sequence[sources.Change]:
    if sources.KEY in record:
        return sources.changes(folder, record, code)
    remark(f"note: {folder.name} began without a copy of its code; whether it changed is not known")
    return []
