"""Blocks cut by ClickHouse's own rule for the input of a module, and left whole.

The ratio is the time with the default / the time.
"""

from collections.abc import Iterator

from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved

PEER = "default"
SETTINGS = {
    PEER: "max_threads = 1",
    "split off": "max_threads = 1, webassembly_udf_input_split_memory_ratio = 0",
    "1024 rows a call": "max_threads = 1, webassembly_udf_max_input_block_size = 1024",
}


def splits(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of each setting."""
    model, table = workplace.model(name), workplace.table(name, count)
    num_images = len(workplace.images(name, count).pixels)
    execute = workplace.connection.execute
    queries = {side: query(model, table, setting) for side, setting in SETTINGS.items()}
    sides = {side: (lambda text=text: execute(text)) for side, text in queries.items()}
    for side, timing in interleaved(sides, workplace.repeats).items():
        yield workplace.row(
            "input splitting", name, side, images=num_images, peer=PEER, ratio=timing.ratio,
            value=timing.seconds / num_images * 1e6, unit="us an image",
        )  # fmt: skip
