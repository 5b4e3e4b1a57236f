"""Engines of programs, opened on what lies in a folder, and the verification that runs them all."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from quantlab.deploy.artefact import Parts, check_single
from quantlab.deploy.folder import missing, write_files
from quantlab.deploy.table import ARTEFACTS, engine_source, engines, engines_named
from quantlab.errors import UsageError, check_kind
from quantlab.integer.program import Program
from quantlab.integer.verify import Batch, Comparison, Engine, compare


def open_engines(names: Sequence[str], parts: Parts, folder: str | Path) -> Mapping[str, Engine]:
    """Return engines, by name, that run what is in a folder.

    Files that are missing are written, the others checked; the program's own file is, whichever
    engines run. Raises UsageError, before anything is written, for an engine that does not exist or
    whose packages are missing and for several parts; VerificationError, UsageError and OSError as
    `folder.complete`.
    """
    names, folder, of_artefact = engines_named(names), Path(folder), engines()
    check_single(parts)
    needed = dict.fromkeys(["program", *(of_artefact[name] for name in names)])
    rows = [ARTEFACTS[artefact] for artefact in needed]
    # All that is there is checked before anything is written.
    absent = [missing(row, parts, folder, row.stored(folder)) for row in rows]
    folder.mkdir(parents=True, exist_ok=True)
    for files in absent:
        write_files(files, folder)
    return {name: engine_source(name).open(parts, folder) for name in names}


def verify(
    program: Program, batches: Iterable[Batch], backends: str | Sequence[str] | None = None
) -> list[Comparison]:
    """Run a program on engines and compare every tensor with the interpreter.

    batches: of the program's inputs by name, integers `[N, ...]`. backends: the names of engines;
    without them all whose packages are installed. Returns a comparison for each.

    Raises VerificationError, with the first element that differs, if any does, UsageError for an
    engine that does not exist or whose packages are missing, and where there is nothing to compare.
    """
    check_kind("program", program, Program, "a Program")
    check_kind("batches", batches, Iterable, "several, such as [{'input': x}],")
    names = engines_named(backends)
    if not program.operations:
        raise UsageError("verify: a program of 0 operations given, at least 1 allowed")
    with TemporaryDirectory() as folder:
        running = open_engines(names, {"network": program}, folder)
        comparisons = compare(program, running, batches)
    if not any(comparison.num_values for comparison in comparisons):
        raise UsageError("verify: no samples or no engines given, at least one of each allowed")
    for comparison in comparisons:
        comparison.check()
    return comparisons
