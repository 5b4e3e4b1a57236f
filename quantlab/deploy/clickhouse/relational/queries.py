"""A program as queries, one an operation, and the rows that they read."""

from collections.abc import Mapping

import numpy as np

from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.lowering import Lowering
from quantlab.deploy.clickhouse.relational.relations import Rows
from quantlab.deploy.clickhouse.relational.writer import Constants, Writer
from quantlab.deploy.clickhouse.sql.nodes import Select, Source
from quantlab.integer.layout.levels import levels_of
from quantlab.integer.program import Program


def queries_of(
    program: Program,
    sources: Mapping[str, Source],
    constants: Constants,
    lowering: Lowering = RELATIONAL,
) -> Mapping[str, Select]:
    """Return the query of each tensor that an operation makes, by name, in order.

    sources: where tensors lie, each input at least; others are computed in the query. constants:
    where the constants lie, `constants_in` tables or `stored_constants`. Raises UsageError, with
    the layer, for an operation that has no query.
    """
    return written(program, sources, constants, lowering, {}).queries


def written(
    program: Program,
    sources: Mapping[str, Source],
    constants: Constants,
    lowering: Lowering,
    chosen: Mapping[str, int],
) -> Writer:
    """Return the writer of all operations; see there, and `queries_of`."""
    writer = Writer(program, sources, constants, lowering, chosen)
    for operation in program.operations:
        lowering.emit(operation, writer)
    return writer


def relations_of(
    program: Program, keys: Mapping[str, str], lowering: Lowering = RELATIONAL
) -> Mapping[str, Rows]:
    """Return the rows of all operations by the names of the tables, those without rows left out.

    keys: what stands in the column `layer`, by the name of an operation's output.
    """
    levels = levels_of(program)
    parts: dict[str, list[Rows]] = {}
    for operation in program.operations:
        for name, rows in lowering.rows_of(operation, levels).items():
            layer = np.full(len(next(iter(rows.values()))), keys[operation.output], object)
            parts.setdefault(name, []).append({"layer": layer, **rows})
    joined = {
        name: {column: np.concatenate([rows[column] for rows in parts[name]]) for column in kinds}
        for name, kinds in lowering.relations.items()
        if name in parts
    }
    return {name: rows for name, rows in joined.items() if len(rows["layer"])}
