"""The module beside the queries of `relational` and beside DL2SQL, a float a row.

The ratio is DL2SQL's time an image / the time an image. Queries read each tensor back, a small part
of their time.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved
from quantlab.deploy.clickhouse.dl2sql.emit import DL2SQL
from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.sql.dialect import MODERN

PEER = "DL2SQL, floats"


def beside_queries(name: str, count: int, many: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the rows of DL2SQL and of `relational` on `count` images, and of the module on `many`.

    The module's time an image is compared, since a batch is what it is made for.
    """
    program, connection = workplace.program(name), workplace.connection
    (input_name,) = program.inputs
    images = workplace.images(name, count).pixels
    model, table = workplace.model(name), workplace.table(name, many)
    num_many = len(workplace.images(name, many).pixels)
    times = {}
    for side, lowering in ((PEER, DL2SQL), ("relational", RELATIONAL)):
        engine = RelationalEngine(program, connection, MODERN, lowering)
        times[side] = _seconds(lambda engine=engine: list(engine.execute({input_name: images})))
    each = {side: seconds / len(images) for side, seconds in times.items()}
    (timing,) = interleaved(
        {"wasm": lambda: connection.execute(query(model, table))}, workplace.repeats
    ).values()
    each["wasm"] = timing.seconds / num_many
    for side, seconds in each.items():
        yield workplace.row(
            "queries", name, side, images=num_many if side == "wasm" else len(images),
            value=1e3 * seconds, unit="ms an image", peer=PEER, ratio=each[PEER] / seconds,
        )  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
