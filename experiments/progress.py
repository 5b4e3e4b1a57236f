"""What a person sees while a run is busy: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_PLAIN_LINE_SECONDS = 30.0
_REFRESH_SECONDS = 0.2

# Into a file or a pipe, tables take the width they need.
_PIPE_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160

console = Console(highlight=False, emoji=False, soft_wrap=True, width=_PIPE_WIDTH)
error_console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


class Steps:
    """Progress over a known number of optimizer steps."""

    def __init__(self, total: int, done: int, *, is_shown: bool) -> None:
        self._total = total
        self._first = done
        self._is_shown = is_shown
        self._started = self._due = time.perf_counter()
        self._bar: Progress | None = None
        if is_shown and console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, completed=done)
        self._due += _REFRESH_SECONDS if self._bar else _PLAIN_LINE_SECONDS

    def __enter__(self) -> "Steps":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, done: int, doing: str) -> None:
        """Tell that `done` steps are done. Costs nothing between refreshes."""
        now = time.perf_counter()
        if not self._is_shown or now < self._due:
            return
        if self._bar:
            self._due = now + _REFRESH_SECONDS
            self._bar.update(self._task, completed=done, description=doing)
        else:
            self._due = now + _PLAIN_LINE_SECONDS
            share = f"{100.0 * done / self._total:.0f} %"
            console.print(f"{doing}: step {done} of {self._total} ({share}), ETA {self.eta(done)}")

    def eta(self, done: int) -> str:
        """Return the time that the rest will take at the pace so far."""
        elapsed = time.perf_counter() - self._started
        if done <= self._first:
            return "unknown"
        return duration(elapsed / (done - self._first) * (self._total - done))


def duration(seconds: float) -> str:
    """Return a time for people: `1:02:03`, `2:03`, `4.5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
