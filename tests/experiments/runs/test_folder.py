"""Run folders: one for each launch, one writer for each run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.runs.folder import (
    Lock,
    RunFolder,
    create_run,
    is_held,
    list_runs,
    open_run,
    records,
    run_around,
)
from quantlab.errors import QuantLabError, UsageError
from tests.lab import CHECKOUT

_CREATE = """
import sys
from pathlib import Path
from experiments.runs.folder import create_run
sys.stdin.readline()
for _ in range(5):
    print(create_run("P", Path(sys.argv[1])).exp_id)
"""

_HOLD = """
import sys
from pathlib import Path
from experiments.runs.folder import Lock, RunFolder
run = RunFolder(problem="P", exp_id=0, path=Path(sys.argv[1]))
lock = Lock(run.path)
run.update(
    id="P/exp000", name="", status="running", topology="T", config={}, data="", metrics={},
    folds=[], seconds=0, launcher="single", world_size=1,
)
print("held", flush=True)
sys.stdin.readline()
"""

RECORD = {
    "id": "P/exp000",
    "name": "",
    "status": "done",
    "topology": "T",
    "config": {},
    "metrics": {},
    "folds": [],
    "seconds": 1.5,
    "data": "",
    "launcher": "single",
    "world_size": 1,
}


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    processes = [python(_CREATE, tmp_path) for _ in range(8)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ids = [int(i) for process in processes for i in process.communicate("")[0].split()]
    assert sorted(ids) == list(range(40))
    assert len(list(tmp_path.iterdir())) == 40


def test_numbers_go_on_after_the_largest(tmp_path: Path) -> None:
    for name in ("exp003", "exp1200", "exp_old", "sweeps", "exp12x"):
        (tmp_path / name).mkdir()
    (tmp_path / "exp2000").write_text("a file")
    assert [run.exp_id for run in list_runs("P", tmp_path)] == [3, 1200]
    assert create_run("P", tmp_path).path.name == "exp1201"
    assert create_run("P", tmp_path).name == "P/exp1202"


def test_a_storage_that_is_gone(tmp_path: Path) -> None:
    assert list_runs("P", tmp_path / "gone") == []
    with pytest.raises(UsageError, match=r"exp000: cannot be written: No such file"):
        create_run("P", tmp_path / "gone")


def test_open(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--exp_id=0: P has no such run; the newest are: none"):
        open_run("P", tmp_path, 0)
    run = create_run("P", tmp_path)
    assert open_run("P", tmp_path, 0) == run
    with pytest.raises(UsageError, match="--exp_id=7: P has no such run; the newest are: 0"):
        open_run("P", tmp_path, 7)


def test_record(tmp_path: Path) -> None:
    run = create_run("P", tmp_path)
    assert list(records([run], pytest.fail)) == []
    run.update(**RECORD)
    run.update(exit_code=0, metrics={"top1": 3.5})
    assert run.record() == {**RECORD, "metrics": {"top1": 3.5}, "exit_code": 0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"run\.json: not valid JSON"),
        ("[]", r"run\.json: is not the record of a run"),
        ('{"status": "done"}', r"run\.json: is not the record of a run"),
    ],
)
def test_damaged_records_do_not_hide_the_others(tmp_path: Path, text: str, words: str) -> None:
    damaged, good = create_run("P", tmp_path), create_run("P", tmp_path)
    (damaged.path / "run.json").write_text(text)
    good.update(**RECORD)
    with pytest.raises(UsageError, match=words):
        damaged.record()
    complaints: list[QuantLabError] = []
    assert list(records([damaged, good], complaints.append)) == [RECORD]
    assert len(complaints) == 1


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    process = python(_HOLD, tmp_path)
    run = RunFolder(problem="P", exp_id=0, path=tmp_path)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        assert run.record()["status"] == "running"
        with pytest.raises(UsageError, match=f"in use by process {process.pid} on ") as caught:
            Lock(tmp_path)
        assert len(str(caught.value).splitlines()) == 1
        assert run.record()["status"] == "running", "looking took the lock away"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not is_held(tmp_path)
    assert run.record()["status"] == "killed"
    lock = Lock(tmp_path)
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    lock.release()


def test_release(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)
    Lock(tmp_path).release()


def test_the_run_around_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run("P", tmp_path)
    file = run.fold(1) / "saves" / "last.ckpt"
    assert run_around("P", file) is None  # nothing says that it is a run
    run.update(**RECORD)
    assert run_around("P", file) == run
    run.fold(1).mkdir()
    monkeypatch.chdir(run.fold(1))
    found = run_around("P", Path("saves", "last.ckpt"))
    assert found is not None
    assert found.record() == run.record()
    assert run_around("P", run.fold(1) / "last.ckpt") is None
    assert run_around("P", Path("/last.ckpt")) is None
    run.path.rename(tmp_path / "other")
    assert run_around("P", tmp_path / "other" / "fold1" / "saves" / "last.ckpt") is None
