"""What a person sees while a run is busy: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from types import TracebackType
from typing import Any

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
from rich.table import Table

from quantlab.errors import QuantLabError

_PLAIN_LINE_SECONDS = 30.0
_REFRESH_SECONDS = 0.2

PIPE_WIDTH = 10_000  # letters; more than any table needs
_LEAST_CELL = 4  # letters of a cell that goes on in the next line


class OutputError(QuantLabError):
    """Standard output takes no more."""

    exit_code = 2


class Output(Console):
    """Prints to standard output."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does. Raises OutputError if it cannot be written, to a full disk."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            _discard_output()
            raise OutputError(f"standard output: {error.strerror}") from error

    def on_broken_pipe(self) -> None:
        """Go on in silence: the reader has enough, but a command may do more than print."""
        self.quiet = True
        _discard_output()


def _discard_output() -> None:
    """Send nowhere what Python has not written yet, which it would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(table: Table, output: Console | None = None) -> None:
    """Print a table that cuts no cell: where it would be too wide, they go on in the next line, and
    where the terminal is too narrow for that, its lines do."""
    output = output or console
    for column in table.columns:
        column.overflow = "fold"
    least = _least_width(table, output)
    if least > output.width:
        table.width = least
    output.print(table, soft_wrap=True)


def _least_width(table: Table, output: Console) -> int:
    """Return the letters of a line when all cells that may go on in the next line are narrow."""
    folding = [column for column in table.columns if not column.no_wrap]
    for column in folding:
        column.max_width = _LEAST_CELL
    least = output.measure(table, options=output.options.update_width(PIPE_WIDTH)).maximum
    for column in folding:
        column.max_width = None
    return least


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


# Into a file or a pipe, tables take the width they need.
console = Output(
    highlight=False,
    emoji=False,
    soft_wrap=True,
    width=None if _is_terminal() or "COLUMNS" in os.environ else PIPE_WIDTH,
)
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
