"""Every tensor of a network as an engine computes it, against the interpreter: 0 mismatches.

The value is the number of mismatches; the ratio is 1 where there is none, else 0. All runs of the
last row of a network, with other threads, blocks and orders of rows, compare the scores alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine, rows_of_tensor
from quantlab.deploy.clickhouse.sql.dialect import Dialect
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.deploy.clickhouse.store import Store
from quantlab.integer.interpreter import execute, run
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison, Engine, compare

PEER = "interpreter"
THREADS, BLOCKS = (1, 2, 8), (1, 7, 333, 65_409)
_BATCH_BYTES = 64 << 20  # of the tensors of a batch


class WasmEngine:
    """The module of a network that is loaded, for `compare`."""

    def __init__(self, workplace: Workplace, name: str) -> None:
        self._connection = workplace.connection
        self._model = workplace.model(name)
        self._interface = Store(workplace.connection).interface(self._model)

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield every tensor, each from a query of its own."""
        (images,) = inputs.values()
        connection, size = self._connection, self._interface.row_bytes
        connection.execute("DROP TABLE IF EXISTS given")
        connection.execute(
            f"CREATE TABLE given (id UInt32, image FixedString({size})) ENGINE = Memory"
        )
        rows = [image.tobytes() for image in images]
        connection.insert("given", {"id": np.arange(len(rows), dtype=np.uint32), "image": rows})
        limit = f"max_block_size = {self._interface.rows_per_call}"
        for name, tensor in self._interface.tensors.items():
            found = connection.execute(
                f"SELECT {self._model}_tensor(image, toUInt16({tensor.number})) AS bytes "
                f"FROM given ORDER BY id SETTINGS {limit}"
            )
            values = np.frombuffer(b"".join(found["bytes"]), tensor.dtype)
            yield name, values.reshape(len(rows), *tensor.shape)


def wasm(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of a network's module on so many images."""
    engine = WasmEngine(workplace, name)
    yield _row("wasm", name, engine, count, workplace)


def relational(
    name: str, count: int, connection: Connection, dialect: Dialect, workplace: Workplace
) -> Iterator[Row]:
    """Yield the row of a network's queries on so many images."""
    engine = RelationalEngine(workplace.program(name), connection, dialect)
    side = f"relational, ClickHouse {connection.version}"
    yield _row(side, name, engine, count, workplace)


def audited(
    name: str, num_elements: int, connection: Connection, dialect: Dialect, workplace: Workplace
) -> Iterator[Row]:
    """Yield the row of elements that one query each recomputes from the tensors before them."""
    program = workplace.program(name)
    (input_name,) = program.inputs
    given = {input_name: workplace.images(name, 1).pixels}
    tensors = {**given, **dict(execute(program, given))}
    engine = RelationalEngine(program, connection, dialect)
    random = np.random.default_rng(0)
    num_wrong = 0
    for number in range(num_elements):
        operation = program.operations[number * len(program.operations) // num_elements]
        values = tensors[operation.output].reshape(-1)
        element = int(random.integers(len(values)))
        sources = {source: engine.tables[source] for source in (input_name, *operation.inputs)}
        for source, table in sources.items():
            _insert(connection, table.name, tensors[source])
        query = render(
            audit(
                program, operation.output, element, 0, sources=sources, constants=engine.constants
            ),
            dialect,
        )
        (value,) = connection.execute(query.text, query.parameters)["value"]
        num_wrong += int(value) != int(values[element])
    yield workplace.row(
        "mismatches", name, "audit, one query an element", images=1, value=num_wrong,
        unit=f"of {num_elements} elements", peer=PEER, ratio=float(not num_wrong),
    )  # fmt: skip


def _insert(connection: Connection, table: str, tensor: NDArray[Any]) -> None:
    columns = ", ".join(f"{column} {kind}" for column, kind in RELATIONAL.tensor.items())
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.execute(f"CREATE TEMPORARY TABLE {table} ({columns})")
    connection.insert(table, rows_of_tensor(tensor))


def settings(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of all numbers of threads, sizes of blocks and orders of rows."""
    program = workplace.program(name)
    table = workplace.table(name, count)
    images = workplace.images(name, count)
    (input_name,) = program.inputs
    scores = run(program, {input_name: images.pixels})[program.outputs[0]]
    ways = [
        f"max_threads = {threads}, max_block_size = {size}"
        for threads in THREADS
        for size in BLOCKS
    ]
    wrong = sum(np.count_nonzero(workplace.scores(name, table, way) != scores) for way in ways)
    shuffled = _shuffled(workplace, name, table)
    wrong += np.count_nonzero(shuffled != scores)
    yield workplace.row(
        "mismatches", name, f"wasm, {len(ways)} settings and shuffled rows", value=int(wrong),
        images=len(scores), threads=max(THREADS), unit=f"of {(len(ways) + 1) * scores.size:,}",
        peer=PEER, ratio=float(not wrong),
    )  # fmt: skip


def _shuffled(workplace: Workplace, name: str, table: str) -> NDArray[Any]:
    """Return the scores of a table whose rows lie in another order."""
    connection = workplace.connection
    connection.execute(f"DROP TABLE IF EXISTS {table}_shuffled")
    connection.execute(
        f"CREATE TABLE {table}_shuffled ENGINE = Memory AS SELECT * FROM {table} "
        "ORDER BY cityHash64(id)"
    )
    return workplace.scores(name, f"{table}_shuffled")


def _row(side: str, name: str, engine: Engine, count: int, workplace: Workplace) -> Row:
    program = workplace.program(name)
    (comparison,) = compare(program, {side: engine}, _batches(program, name, count, workplace))
    return workplace.row(
        "mismatches", name, side, images=comparison.num_samples, value=comparison.num_mismatches,
        unit=f"of {comparison.num_values:,}", peer=PEER, ratio=float(_is_exact(comparison)),
    )  # fmt: skip


def _is_exact(comparison: Comparison) -> bool:
    return comparison.num_mismatches == 0 and comparison.num_values > 0


def _batches(
    program: Program, name: str, count: int, workplace: Workplace
) -> Iterator[dict[str, NDArray[np.uint8]]]:
    (input_name,) = program.inputs
    pixels = workplace.images(name, count).pixels
    bytes_an_image = 8 * sum(int(np.prod(kind.shape)) for kind in program.types.values())
    size = max(1, _BATCH_BYTES // bytes_an_image)
    for start in range(0, len(pixels), size):
        yield {input_name: pixels[start : start + size]}
