"""One query on one and on two threads; the ratio is the time of one / the time of two."""

from collections.abc import Iterator

from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved

PEER = "1 thread"


def two_threads(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of each number of threads."""
    model, table = workplace.model(name), workplace.table(name, count)
    num_images = len(workplace.images(name, count).pixels)
    queries = {
        threads: query(model, table, f"max_threads = {threads}, max_block_size = 1024")
        for threads in (1, 2)
    }
    sides = {
        "1 thread" if threads == 1 else f"{threads} threads": (
            lambda text=text: workplace.connection.execute(text)
        )
        for threads, text in queries.items()
    }
    for threads, (side, timing) in zip(
        queries, interleaved(sides, workplace.repeats).items(), strict=True
    ):
        yield workplace.row(
            "threads", name, side, images=num_images, threads=threads, peer=PEER,
            value=timing.seconds / num_images * 1e6, unit="us an image", ratio=timing.ratio,
        )  # fmt: skip
