"""Every tensor of a network as an engine computes it, against the interpreter: 0 mismatches.

The value is the number of mismatches; the ratio is 1 where there is none, else 0. Runs with other
numbers of threads, sizes of blocks and orders of rows compare the scores alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine, rows_of_tensor
from quantlab.deploy.clickhouse.relational.stored import stored_constants
from quantlab.deploy.clickhouse.sql.dialect import MODERN, Dialect
from quantlab.deploy.clickhouse.sql.nodes import Table
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.store.engine import ModuleEngine
from quantlab.deploy.clickhouse.store.layers import layer_of
from quantlab.deploy.clickhouse.store.tables import DATABASE
from quantlab.integer.fast import FastEngine
from quantlab.integer.interpreter import execute
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison, Engine, compare

PEER = "interpreter"
THREADS = (1, 2, 8)
# Rows of a block, and the images of a table that has several of them.
BLOCKS = {1: 1_000, 7: 1_000, 333: 1_000, 65_409: 65_500}
_BATCH_BYTES = 64 << 20  # of the tensors of a batch


def wasm(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of a network's module on so many images."""
    yield tensor_row("wasm", name, module_engine(name, workplace), count, workplace)


def module_engine(name: str, workplace: Workplace) -> ModuleEngine:
    """Return the module of a network, which is loaded, as an engine."""
    model = workplace.model(name)
    return ModuleEngine(workplace.connection, model, Store(workplace.connection).interface(model))


def relational(
    name: str, count: int, connection: Connection, dialect: Dialect, workplace: Workplace
) -> Iterator[Row]:
    """Yield the row of a network's queries on so many images."""
    engine = RelationalEngine(workplace.program(name), connection, dialect)
    side = f"relational, ClickHouse {connection.version}"
    yield tensor_row(side, name, engine, count, workplace)


def audited(name: str, num_elements: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of elements that one query each recomputes from the tensors before them and the
    parameters in the store."""
    program, connection = workplace.program(name), workplace.connection
    workplace.model(name)
    keys = {operation.output: layer_of(operation).key for operation in program.operations}
    constants = stored_constants(keys, DATABASE)
    (input_name,) = program.inputs
    given = {input_name: workplace.images(name, 1).pixels}
    tensors = {**given, **dict(execute(program, given))}
    tables = {tensor: Table(f"tensor_{place}") for place, tensor in enumerate(program.types)}
    random = np.random.default_rng(0)
    num_wrong = 0
    for number in range(num_elements):
        operation = program.operations[number * len(program.operations) // num_elements]
        values = tensors[operation.output].reshape(-1)
        element = int(random.integers(len(values)))
        sources = {source: tables[source] for source in (input_name, *operation.inputs)}
        for source, table in sources.items():
            _insert(connection, table.name, tensors[source])
        statement = audit(
            program, operation.output, element, 0, sources=sources, constants=constants
        )
        query = render(statement, MODERN)
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


def settings(name: str, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of all numbers of threads, sizes of blocks and orders of rows."""
    num_wrong = num_values = most = 0
    for size, count in BLOCKS.items():
        table, expected = workplace.table(name, count), _scores(name, count, workplace)
        ways = [f"max_threads = {threads}, max_block_size = {size}" for threads in THREADS]
        found = [workplace.scores(name, table, way) for way in ways]
        if count == min(BLOCKS.values()):
            found.append(_shuffled(workplace, name, table))
        num_wrong += sum(int(np.count_nonzero(scores != expected)) for scores in found)
        num_values += len(found) * expected.size
        most = max(most, len(expected))
    yield workplace.row(
        "mismatches", name, "wasm, threads, blocks, shuffled rows", value=num_wrong,
        images=most, threads=max(THREADS), unit=f"of {num_values:,}", peer=PEER,
        ratio=float(not num_wrong),
    )  # fmt: skip


def _scores(name: str, count: int, workplace: Workplace) -> NDArray[Any]:
    """Return the scores `[N, classes]` of so many images, by the fast engine."""
    program = workplace.program(name)
    (input_name,), (output,) = program.inputs, program.outputs
    pixels = workplace.images(name, count).pixels
    parts = [pixels[start : start + 1000] for start in range(0, len(pixels), 1000)]
    engine = FastEngine(program)
    return np.concatenate([engine.run({input_name: part})[output] for part in parts])


def _shuffled(workplace: Workplace, name: str, table: str) -> NDArray[Any]:
    """Return the scores of a table whose rows lie in another order."""
    connection = workplace.connection
    connection.execute(f"DROP TABLE IF EXISTS {table}_shuffled")
    connection.execute(
        f"CREATE TABLE {table}_shuffled ENGINE = Memory AS SELECT * FROM {table} "
        "ORDER BY cityHash64(id)"
    )
    return workplace.scores(name, f"{table}_shuffled")


def tensor_row(side: str, name: str, engine: Engine, count: int, workplace: Workplace) -> Row:
    """Return the row of an engine on so many images, every tensor compared."""
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
