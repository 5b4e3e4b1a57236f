"""Where all is measured: chDB with the networks loaded, and tables of their images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.database.images import Images, images_of
from benchmarks.database.programs import program_of, weights_of
from benchmarks.harness import Figure, Row
from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store import Store
from quantlab.integer.program import Program

NUM_PARTS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Workplace:
    """connection: chDB. programs: the folder that `program_of` reads. most_images, repeats: of a
    measurement, so that tests are short."""

    connection: Connection
    programs: Path
    most_images: int = 100_000
    repeats: int = 11
    _tables: set[str] = field(default_factory=set)

    @property
    def engine(self) -> str:
        return f"ClickHouse {self.connection.version}"

    def program(self, name: str) -> Program:
        """Return the program of a network."""
        return _program_of(name, self.programs)

    def model(self, name: str) -> str:
        """Return the name by which a network is loaded: of its functions `NAME_scores(image)`."""
        Store(self.connection).load(_word(name), self.program(name))
        return _word(name)

    def images(self, name: str, count: int) -> Images:
        """Return images of a network, at most `most_images`."""
        return images_of(name, min(count, self.most_images))

    def table(self, name: str, count: int) -> str:
        """Return a table (id, image) of so many images: in memory, or where they are many in 8
        parts on disk, so that threads can share them."""
        images = self.images(name, count)
        table = f"images_{_word(name)}_{len(images.pixels)}"
        if table not in self._tables:
            size = images.pixels[0].nbytes
            engine = (
                f"MergeTree ORDER BY id PARTITION BY id % {NUM_PARTS}"
                if len(images.pixels) > 1000
                else "Memory"
            )
            self.connection.execute(f"DROP TABLE IF EXISTS {table}")
            self.connection.execute(
                f"CREATE TABLE {table} (id UInt32, image FixedString({size})) ENGINE = {engine}"
            )
            ids = np.arange(len(images.pixels), dtype=np.uint32)
            self.connection.insert(table, {"id": ids, "image": images.rows})
            self._tables.add(table)
        return table

    def scores(self, name: str, table: str, settings: str = "max_threads = 1") -> NDArray[Any]:
        """Return the scores `[N, classes]` of a table's images, in the order of their ids."""
        rows = self.connection.execute(
            f"SELECT {self.model(name)}_scores(image) AS scores FROM {table} ORDER BY id "
            f"SETTINGS {settings}"
        )
        return np.stack(list(rows["scores"]))

    def row(
        self,
        measure: str,
        network: str,
        side: str,
        *,
        value: float,
        unit: str,
        images: int = 0,
        threads: int = 1,
        peer: str = "",
        ratio: float = 0.0,
        more: Mapping[str, Figure] | None = None,
    ) -> Row:
        """Return a row of the results; ratio: as the measure says."""
        figures: dict[str, Figure] = {
            "measure": measure,
            "network": network,
            "weights": weights_of(network, self.programs) if network else "random",
            "side": side,
            "images": images,
            "threads": threads,
            "value": value,
            "unit": unit,
            "engine": self.engine,
            "bitalg": has_bitalg(),
        }
        return Row(figures={**figures, **(more or {})}, peer=peer, ratio=ratio)


@cache
def has_bitalg() -> str:
    """Return whether the processor counts bits of vectors (AVX-512 BITALG)."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return "unknown"
    return "yes" if "avx512_bitalg" in cpuinfo.read_text() else "no"


@cache
def _program_of(name: str, folder: Path) -> Program:
    return program_of(name, folder)


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name).lower()
