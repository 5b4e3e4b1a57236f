"""The numbers of a run: metrics.jsonl for programs, TensorBoard for people; a log of each rank."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.runs.board import Board
from experiments.runs.files import storage_error, write_atomically


class Logbook:
    """Writes the rows of one fold, on rank 0."""

    def __init__(self, fold: Path) -> None:
        fold.mkdir(parents=True, exist_ok=True)
        self._file = fold / "metrics.jsonl"
        self.board = Board(fold / "stats")

    def write(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Add a row, and its values as scalars to the board. Rows with `final=True` belong to the
        end of a run, and go when the run goes on."""
        row = json.dumps({"step": step, **context, **values})
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(row + "\n")
        except OSError as error:
            raise storage_error(self._file, error) from error
        self.board.scalars(step, values)

    def cut(self, step: int) -> None:
        """Drop what was written after `step`, by a process that was killed later than its last
        checkpoint, and what only the end of a run writes."""
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _is_kept(line, step)]
            write_atomically(self._file, "".join(line + "\n" for line in kept).encode())
        self.board.cut(step)

    def flush(self) -> None:
        """Bring everything to the disk: what stands before a checkpoint is not written again."""
        self.board.flush()

    def close(self) -> None:
        self.board.close()


def _is_kept(line: str, step: int) -> bool:
    try:
        row = json.loads(line)
        return int(row["step"]) <= step and not row.get("final")
    except (ValueError, KeyError, TypeError):
        return False  # torn by a kill


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
