"""Programs side by side: started in their order, ended in time."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.2
_SECONDS_TO_END = 25.0  # to write a checkpoint


@dataclass(frozen=True, kw_only=True)
class Job:
    """line: the program and its arguments. log: where its output goes. is_ready: whether it can
    begin; asked again until it can."""

    name: str
    line: Sequence[str]
    log: Path
    is_ready: Callable[[], bool] = lambda: True


def run_side_by_side(
    jobs: Sequence[Job], *, processes: int, seconds: float, tell: Callable[[str], None]
) -> dict[str, int | None]:
    """Run jobs, at most `processes` at a time, and return their exit codes; None of those that were
    not started.

    seconds: after which all that runs gets SIGTERM, and has 25 s to end. A job that can never begin
    is not waited for.
    """
    began = time.monotonic()
    codes: dict[str, int | None] = {job.name: None for job in jobs}
    waiting, running = list(jobs), dict[str, subprocess.Popen[bytes]]()
    with ExitStack() as logs:
        try:
            while (waiting or running) and time.monotonic() - began < seconds:
                for job in [job for job in waiting if job.is_ready()]:
                    if len(running) == processes:
                        break
                    waiting.remove(job)
                    log = logs.enter_context(job.log.open("ab"))
                    running[job.name] = subprocess.Popen(job.line, stdout=log, stderr=log)
                if not running:
                    break
                time.sleep(_POLL_SECONDS)
                _gather(running, codes, tell, began)
        finally:
            _end(running)
        _gather(running, codes, tell, began)
    return codes


def _gather(
    running: dict[str, "subprocess.Popen[bytes]"],
    codes: dict[str, int | None],
    tell: Callable[[str], None],
    began: float,
) -> None:
    """Note the codes of programs that have ended."""
    for name, process in list(running.items()):
        if process.poll() is not None:
            codes[name] = process.returncode
            tell(f"{time.monotonic() - began:.0f} s: {name} ended with {process.returncode}")
            del running[name]


def _end(running: dict[str, "subprocess.Popen[bytes]"]) -> None:
    """End programs: with SIGTERM, and if they take too long without."""
    for process in running.values():
        process.terminate()
    last = time.monotonic() + _SECONDS_TO_END
    for process in running.values():
        try:
            process.wait(max(0.0, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
