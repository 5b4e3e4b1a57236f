"""Programs side by side; 1 s."""

import sys
import time
from pathlib import Path

from benchmarks.generation.side_by_side import Job, run_side_by_side

WAITS = """
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


def silent(line: str) -> None:
    """Tell nobody."""


def job(folder: Path, name: str, program: str, *arguments: object, needs: str = "") -> Job:
    return Job(
        name=name,
        line=[sys.executable, "-S", "-c", program, *map(str, arguments)],
        log=folder / f"{name}.log",
        is_ready=lambda: not needs or (folder / needs).exists(),
    )


def test_jobs_wait_for_what_they_need_while_others_go_on(tmp_path: Path) -> None:
    touch = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); print('made')"
    jobs = [
        job(tmp_path, "needs", "raise SystemExit(3)", needs="there"),
        job(tmp_path, "makes", touch, tmp_path / "there"),
        job(tmp_path, "never", touch, tmp_path / "none", needs="nowhere"),
    ]
    told: list[str] = []
    codes = run_side_by_side(jobs, processes=1, seconds=60, tell=told.append)
    assert codes == {"needs": 3, "makes": 0, "never": None}
    assert [line.partition(": ")[2] for line in told] == [
        "makes ended with 0",
        "needs ended with 3",
    ]
    assert (tmp_path / "makes.log").read_text() == "made\n"


def test_time_is_up(tmp_path: Path) -> None:
    saved, begun = tmp_path / "saved", tmp_path / "begun"
    jobs = [
        job(tmp_path, "first", WAITS, saved, begun),
        job(tmp_path, "second", "pass", needs="begun"),
        job(tmp_path, "third", "pass"),
    ]
    began = time.monotonic()
    codes = run_side_by_side(jobs[:1], processes=2, seconds=0.5, tell=silent)
    assert codes == {"first": 130}
    assert saved.read_text() == "saved"
    assert time.monotonic() - began < 20, "it did not end by itself"
    assert run_side_by_side(jobs[2:], processes=1, seconds=-1.0, tell=silent) == {"third": None}
