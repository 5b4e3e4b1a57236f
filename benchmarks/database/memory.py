"""The peak memory of queries, as `system.query_log` has it, every allocation counted.

ClickHouse does not count the memory of a module's instance. The ratio is the peak of reading the
images / the peak.
"""

from collections.abc import Iterator

from benchmarks.database.log import logged
from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row

PEER = "read the images"
_SETTINGS = "max_threads = 1, max_untracked_memory = 0"


def peaks(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the peak of reading so many images, and of their scores."""
    model, table = workplace.model(name), workplace.table(name, count)
    num_images = len(workplace.images(name, count).pixels)
    queries = {
        PEER: f"SELECT sum(cityHash64(image)) AS x FROM {table} SETTINGS {_SETTINGS}",
        "wasm": query(model, table, _SETTINGS),
    }
    found = {side: int(logged(workplace, text, "memory_usage")) for side, text in queries.items()}
    for side, peak in found.items():
        yield workplace.row(
            "peak memory", name, side, images=num_images, value=peak / 2**20, unit="MiB",
            peer=PEER, ratio=found[PEER] / max(1, peak),
        )  # fmt: skip
