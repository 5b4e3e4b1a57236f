"""A program as queries, one an operation."""

from collections.abc import Mapping

from quantlab.deploy.clickhouse.relational.emit import emit
from quantlab.deploy.clickhouse.relational.writer import Writer
from quantlab.deploy.clickhouse.sql.nodes import Select, Source
from quantlab.integer.program import Program


def queries_of(
    program: Program, sources: Mapping[str, Source], keys: Mapping[str, str], database: str = ""
) -> Mapping[str, Select]:
    """Return the query of each tensor that an operation makes, by name, in order.

    sources: where tensors lie, each input at least; others are computed in the query. keys: the key
    of each operation's constants, by the name of its output. database: that of the tables of
    constants. Raises UsageError, with the layer, for an operation that has no query.
    """
    writer = Writer(program, sources, keys, database)
    for operation in program.operations:
        emit(operation, writer)
    return writer.queries
