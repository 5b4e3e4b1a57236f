"""`main.py clean`: what takes disk, and what may go."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from experiments.command_line import Invocation
from experiments.commands.list_runs import all_runs
from experiments.progress import console, show
from experiments.runs.folder import Lock, RunFolder, is_compression, is_held
from quantlab.errors import QuantLabError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A run, its size in bytes, and what of it may go."""

    run: RunFolder
    status: str
    size: int
    removable: list[Path]
    reason: str


def run(invocation: Invocation) -> int:
    """Print a table of the runs' sizes; remove what may go only when asked."""
    findings = [look(run) for run in all_runs(invocation.options.get("problem"))]
    table = Table(Column("run", no_wrap=True), "status", "size", "may go", "why")
    for found in findings:
        gain = sum(map(_size, found.removable))
        table.add_row(
            found.run.name,
            found.status,
            _bytes(found.size),
            _bytes(gain) if gain else "",
            found.reason,
        )
    show(table)
    gain = sum(_size(path) for found in findings for path in found.removable)
    if not invocation.has("apply"):
        console.print(f"{_bytes(gain)} may go: main.py clean --apply removes it", markup=False)
        return 0
    for found in findings:
        if found.removable:
            lock = Lock(found.run.path)
            for path in found.removable:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            lock.release()
    console.print(f"{_bytes(gain)} removed", markup=False)
    return 0


def _record(run: RunFolder) -> Mapping[str, Any]:
    """Return a run's record, or one whose status says why there is none."""
    if not (run.path / "run.json").exists():
        return {"status": "never began"}
    try:
        return run.record()
    except QuantLabError:
        return {"status": "damaged run.json"}


def look(run: RunFolder) -> Finding:
    """Decide what of a run may go: all of one that never wrote a checkpoint; of a finished one the
    fallback checkpoint and those of single epochs, or the state of a compression; of any that is
    not running, torn files."""
    size = _size(run.path)
    if is_held(run.path):
        return Finding(run=run, status="running", size=size, removable=[], reason="")
    record = _record(run)
    status = str(record["status"])
    is_ended = status in ("done", "unreachable")
    is_kept = is_compression(record) and (is_ended or any(run.path.glob("state/*.state")))
    if not is_kept and not any(run.path.glob("fold*/saves/*.ckpt")):
        return Finding(
            run=run, status=status, size=size, removable=[run.path], reason="no checkpoint"
        )
    torn = [path for path in run.path.rglob("*") if path.suffix in (".part", ".fresh")]
    if not is_ended:
        reason = "torn files" if torn else ""
        return Finding(run=run, status=status, size=size, removable=torn, reason=reason)
    spare = [
        path
        for path in run.path.glob("fold*/saves/*.ckpt")
        if path.stem == "previous" or path.stem.startswith("epoch")
    ]
    reason = "done: only last and best are needed" if spare else ""
    if is_kept and (run.path / "state").exists():
        spare, reason = [run.path / "state"], f"{status}: no state is needed"
        torn = [path for path in torn if path.parent not in spare]
    return Finding(run=run, status=status, size=size, removable=[*torn, *spare], reason=reason)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.lstat().st_size


def _bytes(count: int) -> str:
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.0f} TB"
