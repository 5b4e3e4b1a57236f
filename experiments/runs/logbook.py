"""The numbers of a run: metrics.jsonl for programs, TensorBoard for people; a log of each rank."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runs.board import Board
from experiments.runs.files import storage_error


class Logbook:
    """Writes the rows of one fold, on rank 0."""

    def __init__(self, fold: Path) -> None:
        fold.mkdir(parents=True, exist_ok=True)
        self._file = fold / "metrics.jsonl"
        self.board = Board(fold / "stats")

    def write(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Add a row, and its values as scalars to the board."""
        row = json.dumps({"step": step, **context, **values})
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(row + "\n")
        except OSError as error:
            raise storage_error(self._file, error) from error
        self.board.scalars(step, values)

    def mark(self) -> dict[str, int]:
        """Return the length of every file, all that was written being on the disk."""
        self.board.flush()
        return {name: path.stat().st_size for name, path in self._files().items()}

    def cut(self, mark: Mapping[str, int]) -> None:
        """Drop what was written after `mark`, by a process that was killed later than its last
        checkpoint; the empty mark drops everything."""
        for name, path in self._files().items():
            if name not in mark:
                path.unlink()
            elif path.stat().st_size > mark[name]:
                os.truncate(path, mark[name])

    def close(self) -> None:
        self.board.close()

    def _files(self) -> dict[str, Path]:
        """Return what is there, by its name in the fold's folder."""
        paths = [self._file, *self.board.folder.glob("events.out.tfevents.*")]
        return {str(p.relative_to(self._file.parent)): p for p in paths if p.exists()}


class _LogFile(logging.FileHandler):
    """A log that cannot be written, on a full disk, must not hide what went wrong."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def rank_log(folder: Path, rank: int) -> logging.Logger:
    """Return the logger of this rank, which writes `log.rank<r>.txt` in the run's folder."""
    log = logging.getLogger(f"quantlab.rank{rank}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)
    handler = _LogFile(folder / f"log.rank{rank}.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    return log
