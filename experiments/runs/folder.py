"""A run's folder: created once, held by one process, described by run.json.

exp000/  config.yaml  run.json  lock  log.rank0.txt
exp000/fold0/  saves/  stats/  metrics.jsonl  confusion.json

A compression has c/, program.qlp, report.txt, report.json and state/ in place of folds.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from experiments.configuration.documents import dump
from experiments.runs.files import read_json, storage_error, write_atomically, write_json
from quantlab.errors import QuantLabError, UsageError

SCHEMA_VERSION = 1
COMPRESSION = "compress"  # the kind of a run that compresses another's network; others have none
_KEYS = {"id", "name", "status", "topology", "config", "data", "metrics", "folds", "seconds"}
_KEYS |= {"launcher", "world_size"}
_NAME = re.compile(r"exp(\d+)\Z")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The folder of run `exp_id` of a problem."""

    problem: str
    exp_id: int
    path: Path

    @property
    def name(self) -> str:
        return f"{self.problem}/{self.path.name}"

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    def fold(self, index: int) -> Path:
        return self.path / f"fold{index}"

    def record(self) -> dict[str, Any]:
        """Return run.json; a run that says `running` while nobody holds it was killed."""
        file = self.path / "run.json"
        record: dict[str, Any] = read_json(file)
        if not isinstance(record, dict) or not record.keys() >= _KEYS:
            raise UsageError(f"{file}: is not the record of a run")
        if record.get("status") == "running" and not is_held(self.path):
            record["status"] = "killed"
        return record

    def update(self, **entries: Any) -> None:
        """Change entries of run.json."""
        file = self.path / "run.json"
        record = read_json(file) if file.exists() else {}
        write_json(file, {**record, **entries})

    def write_config(self, config: dict[str, Any]) -> None:
        write_atomically(self.config_file, dump(config).encode())


def is_compression(record: Mapping[str, Any]) -> bool:
    """Return whether a run compresses the network of another one."""
    return record.get("kind") == COMPRESSION


def create_run(problem: str, logs: Path) -> RunFolder:
    """Make the next free folder: `mkdir` decides between two launches at the same instant."""
    taken = [run.exp_id for run in list_runs(problem, logs)]
    exp_id = max(taken, default=-1) + 1
    while True:
        path = logs / f"exp{exp_id:03d}"
        try:
            path.mkdir()
        except FileExistsError:
            exp_id += 1
            continue
        except OSError as error:
            raise storage_error(path, error) from error
        return RunFolder(problem=problem, exp_id=exp_id, path=path)


def open_run(problem: str, logs: Path, exp_id: int) -> RunFolder:
    """Return an existing run. Raises UsageError naming those that exist."""
    runs = list_runs(problem, logs)
    for run in runs:
        if run.exp_id == exp_id:
            return run
    known = ", ".join(str(run.exp_id) for run in runs[-10:]) or "none"
    raise UsageError(f"--exp_id={exp_id}: {problem} has no such run; the newest are: {known}")


def run_around(problem: str, file: Path) -> RunFolder | None:
    """Return the run in whose folder a checkpoint lies, None if it lies in none. problem: the name
    that the run is told by."""
    saves = file.absolute().parent
    path = saves.parent.parent
    match = _NAME.match(path.name)
    if saves.name != "saves" or match is None or not (path / "run.json").is_file():
        return None
    return RunFolder(problem=problem, exp_id=int(match[1]), path=path)


def list_runs(problem: str, logs: Path) -> list[RunFolder]:
    """Return the runs of a problem by their number; folders without run.json yet count too."""
    if not logs.is_dir():
        return []
    matches = [(path, _NAME.match(path.name)) for path in logs.iterdir() if path.is_dir()]
    runs = [
        RunFolder(problem=problem, exp_id=int(match[1]), path=path)
        for path, match in matches
        if match
    ]
    return sorted(runs, key=lambda run: run.exp_id)


class Lock:
    """Holds a run for this process; the kernel lets go when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._file = _open_lock(path)
        if not _try_to_hold(self._file):
            holder = _holder(self._file)
            self._file.close()
            raise UsageError(f"{path.name}: in use by {holder}; a run has one writer")
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "host": os.uname().nodename}, self._file)
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def is_held(path: Path) -> bool:
    """Return whether a living process holds the run."""
    try:
        with (path / "lock").open(encoding="utf-8") as file:
            return not _lock(file, fcntl.LOCK_SH)  # beside others that look
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{path / 'lock'}: {error.strerror}") from error


def _try_to_hold(file: IO[str]) -> bool:
    for _ in range(3):  # someone who only looks holds it for an instant
        if _lock(file, fcntl.LOCK_EX):
            return True
        time.sleep(0.02)
    return _lock(file, fcntl.LOCK_EX)


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_lock(path: Path) -> IO[str]:
    try:
        return (path / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise storage_error(path / "lock", error) from error


def _holder(file: IO[str]) -> str:
    file.seek(0)
    try:
        entry = json.load(file)
        return f"process {entry['pid']} on {entry['host']}"
    except (ValueError, KeyError):
        return "another process"


def records(
    runs: list[RunFolder], complain: Callable[[QuantLabError], None]
) -> Iterator[dict[str, Any]]:
    """Yield the records of those runs that have one. A damaged one is no reason to miss the
    others: its error goes to `complain`."""
    for run in runs:
        if (run.path / "run.json").exists():
            try:
                yield run.record()
            except QuantLabError as error:
                complain(error)
