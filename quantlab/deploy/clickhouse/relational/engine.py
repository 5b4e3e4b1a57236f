"""A program that runs as queries, for `verify`."""

import itertools
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.lowering import Lowering
from quantlab.deploy.clickhouse.relational.queries import queries_of, relations_of
from quantlab.deploy.clickhouse.relational.writer import constants_in
from quantlab.deploy.clickhouse.sql.dialect import Dialect
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    CreateTemporaryTable,
    DropTable,
    Insert,
    Select,
    Statement,
    Table,
)
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.errors import VerificationError
from quantlab.integer.interpreter import check_inputs
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType

Integers = NDArray[Any]
_NUMBERS = itertools.count()  # of engines: each has tables of its own


class RelationalEngine:
    """See the module. Its tables are temporary: they end with the connection, which several engines
    can share.

    tables: of each tensor, by name; filled by `execute`. constants: those of the program.
    """

    def __init__(
        self,
        program: Program,
        connection: Connection,
        dialect: Dialect,
        lowering: Lowering = RELATIONAL,
    ) -> None:
        self._program, self._connection = program, connection
        self._dialect, self._lowering = dialect, lowering
        number = next(_NUMBERS)
        self.tables = {
            name: Table(f"tensor_{number}_{place}") for place, name in enumerate(program.types)
        }
        relations = {name: Table(f"{name}_{number}") for name in lowering.relations}
        keys = {one.output: f"layer {place}" for place, one in enumerate(program.operations)}
        self.constants = constants_in(relations, lowering.relations, keys)
        self._queries = queries_of(program, self.tables, self.constants, lowering)
        for name, kinds in lowering.relations.items():
            self._create(relations[name], kinds)
        for name, rows in relations_of(program, keys, lowering).items():
            connection.insert(relations[name].name, rows)

    def execute(self, inputs: Mapping[str, Integers]) -> Iterator[tuple[str, Integers]]:
        """Yield the name and value of every tensor that an operation makes.

        Raises UsageError for inputs of another type or shape, and in the engine's words.
        """
        check_inputs(self._program, inputs)
        count = len(next(iter(inputs.values())))
        for name, given in inputs.items():
            self._create(self.tables[name], self._lowering.tensor)
            self._connection.insert(self.tables[name].name, rows_of_tensor(given))
        for name, query in self._queries.items():
            self._create(self.tables[name], self._lowering.tensor)
            self._run(Insert(self.tables[name], query))
            yield name, self._read(name, count)

    def _create(self, table: Table, kinds: Mapping[str, str]) -> None:
        self._run(DropTable(table))
        self._run(CreateTemporaryTable(table, tuple(kinds.items())))

    def _read(self, name: str, count: int) -> Integers:
        names = [Column(column).named(column) for column in self._lowering.tensor]
        rows = self._run(Select(columns=tuple(names), source=self.tables[name]))
        return tensor_of_rows(name, rows, self._program.types[name], count)

    def _run(self, statement: Statement) -> Mapping[str, Integers]:
        query = render(statement, self._dialect)
        return self._connection.execute(query.text, query.parameters)


def rows_of_tensor(integers: Integers) -> Mapping[str, Integers]:
    """Return the rows of a tensor `[N, *shape]`."""
    count, elements = len(integers), prod(integers.shape[1:])
    return {
        "sample": np.repeat(np.arange(count, dtype=np.uint32), elements),
        "element": np.tile(np.arange(elements, dtype=np.uint32), count),
        "value": integers.reshape(-1).astype(np.int32),
    }


def tensor_of_rows(
    name: str, rows: Mapping[str, Integers], given: TensorType, count: int
) -> Integers:
    """Return the tensor `[count, *shape]` of rows in any order.

    Raises VerificationError unless each element has one row.
    """
    elements = prod(given.shape)
    place = rows["sample"].astype(np.int64) * elements + rows["element"]
    numbers = np.bincount(place, minlength=count * elements)
    if len(numbers) != count * elements or (numbers != 1).any():
        raise VerificationError(
            f"tensor '{name}': {len(place):,} rows given, one for each of {count:,} samples' "
            f"{elements:,} elements allowed"
        )
    found = np.zeros(count * elements, np.int64)
    found[place] = rows["value"]
    return found.reshape(count, *given.shape).astype(given.kind.dtype)
