"""Rows of a benchmark that are kept in a folder, so that what is killed goes on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness import Row


@dataclass(frozen=True)
class KeptRows:
    """folder: None keeps nothing."""

    folder: Path | None

    def read(self, side: str, peer: str) -> Row | None:
        """Return the row of a side beside its peer, None if it was not measured."""
        path = self._path(side, peer)
        if path is None or not path.exists():
            return None
        return Row(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, row: Row) -> None:
        """Keep a row, whole or not at all."""
        path = self._path(str(row.figures["side"]), row.peer)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(asdict(row)), encoding="utf-8")
            part.replace(path)

    def _path(self, side: str, peer: str) -> Path | None:
        name = f"{side} beside {peer}.json".replace(" ", "_")
        return None if self.folder is None else self.folder / name
