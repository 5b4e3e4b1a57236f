"""What a query on one image takes beside one on nothing, `SELECT 1`.

The value is the median of how much longer the query takes in a turn, in milliseconds; the ratio is
the time of `SELECT 1` / the time of the query.
"""

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter

from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row

PEER = "SELECT 1"
_CALLS = 20


def beside_nothing(name: str, workplace: Workplace) -> Iterator[Row]:
    """Yield the rows of reading an image and of its scores."""
    execute, model = workplace.connection.execute, workplace.model(name)
    table = workplace.table(name, 1)
    queries = {
        "read the image": f"SELECT image FROM {table}",
        "wasm": f"SELECT {model}_tensor(image, toUInt16(0)) AS x FROM {table}",
        "wasm, classes": f"SELECT {model}_class(image) AS x FROM {table}",
    }
    turns: dict[str, list[tuple[float, float]]] = {side: [] for side in queries}
    for _ in range(workplace.repeats):
        nothing = _seconds(lambda: execute(PEER))
        for side, query in queries.items():
            turns[side].append((nothing, _seconds(lambda query=query: execute(query))))
    for side, times in turns.items():
        yield workplace.row(
            "latency", name, side, images=1, peer=PEER,
            value=1e3 * median(own - nothing for nothing, own in times), unit="ms over the peer",
            ratio=median(nothing / own for nothing, own in times),
        )  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    """Return the median of some calls."""
    times = []
    for _ in range(_CALLS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return median(times)
