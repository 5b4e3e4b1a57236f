"""The numbers of a run: metrics.jsonl and layers.jsonl for programs, TensorBoard for people; a log
of each rank."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from experiments.runs.board import EVENT_FILES, Board, board_folder
from experiments.runs.files import as_json, storage_error

if TYPE_CHECKING:
    from quantlab.monitor import Reading


_WHOLE_RUN = "whole_run"


class Logbook:
    """Writes the rows of one fold, on rank 0. name: of the run, for the board."""

    def __init__(self, fold: Path, name: str = "") -> None:
        fold.mkdir(parents=True, exist_ok=True)
        self._fold = fold
        self._metrics = fold / "metrics.jsonl"
        self._layers = fold / "layers.jsonl"
        self.board = Board(board_folder(fold / "stats", name))
        # A run of its own in TensorBoard: HPARAMS shows every curve of a run that has parameters.
        self._layers_board = Board(board_folder(fold / "layers", name))

    def write(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Add a row, and its values as scalars to the board."""
        _append(self._metrics, [{"step": step, **context, **values}])
        self.board.scalars(step, values)

    def write_end(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Add a row of values of the whole run. The board shows these single points below all
        curves."""
        _append(self._metrics, [{"step": step, **context, **values}])
        self.board.scalars(step, {f"{_WHOLE_RUN}/{name}": value for name, value in values.items()})

    def show_end(self, step: int, name: str, pixels_HWC: NDArray[Any]) -> None:
        """Show uint8 RGB pixels about the whole run."""
        self.board.picture(f"{_WHOLE_RUN}/{name}", step, pixels_HWC)

    def write_layers(self, step: int, epoch: int, readings: Sequence["Reading"]) -> None:
        """Add a row for each layer that was measured, and all values to the board. Rows hold the
        numbers alone, and null where one is not finite."""
        rows: dict[str, dict[str, Any]] = {}
        for reading in readings:
            if isinstance(reading.value, float):
                row = rows.setdefault(
                    reading.layer, {"step": step, "epoch": epoch, "layer": reading.layer}
                )
                row[reading.name] = reading.value
        _append(self._layers, rows.values())
        self._layers_board.values(step, {reading.tag: reading.value for reading in readings})

    def mark(self) -> dict[str, int]:
        """Return the length of every file, all that was written being on the disk."""
        self.board.flush()
        self._layers_board.flush()
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
        self._layers_board.close()

    def _files(self) -> dict[str, Path]:
        """Return what is there, by its name in the fold's folder."""
        paths = [self._metrics, self._layers]
        for board in (self.board, self._layers_board):
            paths += board.folder.glob(EVENT_FILES)
        return {str(path.relative_to(self._fold)): path for path in paths if path.exists()}


def _append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows of JSON to a file. Raises UsageError if it cannot be written."""
    text = "".join(as_json(row) + "\n" for row in rows)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise storage_error(path, error) from error


class _LogFile(logging.FileHandler):
    """A log that cannot be written, on a full disk, must not hide what went wrong."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def rank_log(folder: Path, rank: int) -> logging.Logger:
    """Return the logger of this rank, which writes `log.rank<r>.txt` in the run's folder. Raises
    UsageError if the file cannot be made."""
    log = logging.getLogger(f"quantlab.rank{rank}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in list(log.handlers):
        handler.close()
        log.removeHandler(handler)
    path = folder / f"log.rank{rank}.txt"
    try:
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise storage_error(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    return log
