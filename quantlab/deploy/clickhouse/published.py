"""A program as views of a server that knows neither modules nor parameters."""

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.engines.parameters import quoted
from quantlab.deploy.clickhouse.relational.emit import RELATIONAL
from quantlab.deploy.clickhouse.relational.images import images_in
from quantlab.deploy.clickhouse.relational.queries import queries_of, relations_of
from quantlab.deploy.clickhouse.relational.writer import columns, constants_in
from quantlab.deploy.clickhouse.sql.dialect import LEGACY
from quantlab.deploy.clickhouse.sql.functions import call
from quantlab.deploy.clickhouse.sql.nodes import Column, Select, Step, Table
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.deploy.clickhouse.store.names import check_name
from quantlab.errors import UsageError
from quantlab.integer.program import Program

_PLACES = 2**20  # more than a vector of scores has elements


def publish(name: str, program: Program, connection: Connection, images: str = "images") -> None:
    """Make a view `name` of (id, class) of a table of images (id UInt32, image FixedString), and
    tables of constants, `name_words` and so on, in place of those that are there.

    The class is the first of the largest scores. images: the table, which is there. The engine
    computes a tensor as often as it is read, so that networks of few layers alone are fast. Raises
    UsageError for a name that is no word, and for a program of several inputs or outputs or whose
    output is no vector.
    """
    check_name(name)
    (output, *others), (given, *more) = program.outputs, program.inputs
    if others or more or len(program.types[output].shape) != 1:
        raise UsageError(f"model '{name}': one input, and one output of a vector allowed")
    keys = {operation.output: operation.output for operation in program.operations}
    tables = {relation: Table(f"{name}_{relation}") for relation in RELATIONAL.relations}
    for relation, kinds in RELATIONAL.relations.items():
        table = quoted(tables[relation].name)
        described = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(
            f"CREATE TABLE {table} ({described}) ENGINE = MergeTree ORDER BY ({', '.join(kinds)})"
        )
    for relation, rows in relations_of(program, keys).items():
        connection.insert(tables[relation].name, rows)
    steps = {tensor: Table(f"{name}_{number}") for number, tensor in enumerate(program.types)}
    constants = constants_in(tables, RELATIONAL.relations, keys)
    raw = images_in(Table(images), program.inputs[given])
    _view(
        steps[given].name,
        Select(columns=columns("sample", "element", "value"), source=raw),
        connection,
    )
    for tensor, query in queries_of(program, steps, constants).items():
        _view(steps[tensor].name, query, connection)
    largest = call("toInt64", Column("value")) * _PLACES - Column("element")
    best = columns("sample", element=call("argMax", Column("element"), largest))
    classes = Step("classes", Select(columns=best, source=steps[output], group_by=("sample",)))
    made = columns(id=Column("sample"), **{"class": Column("element")})
    _view(name, Select(columns=made, source=classes), connection)


def _view(name: str, rows: Select, connection: Connection) -> None:
    query = render(rows, LEGACY)
    connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    connection.execute(f"CREATE VIEW {quoted(name)} AS {query.text}", query.parameters)
