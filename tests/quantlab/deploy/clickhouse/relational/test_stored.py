"""Queries that read the parameters of the store."""

from collections.abc import Callable, Iterator

import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.relational.stored import stored_constants
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.deploy.clickhouse.store.layers import layer_of
from quantlab.deploy.clickhouse.store.parameters import write_layers
from quantlab.deploy.clickhouse.store.tables import DATABASE, TABLES, creation
from quantlab.integer.program import Program
from tests.quantlab.deploy.clickhouse.relational.tiny import (
    binary_program,
    images,
    ternary_program,
    whole_program,
)

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb")) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
        for name in TABLES:
            connection.execute(creation(name))
        yield connection


@pytest.mark.parametrize("program_of", [binary_program, ternary_program, whole_program])
def test_elements_from_stored_parameters(
    program_of: Callable[[], Program], chdb: Connection
) -> None:
    program = program_of()
    layers = {operation.output: layer_of(operation) for operation in program.operations}
    write_layers(chdb, list(layers.values()))
    engine = RelationalEngine(program, chdb, MODERN)
    found = dict(engine.execute(images(program, 2)))
    constants = stored_constants({name: layer.key for name, layer in layers.items()}, DATABASE)
    for operation in (one for one in program.operations if one.constants()):
        tensor = found[operation.output][1].reshape(-1)
        element = tensor.size - 1
        sources = {name: engine.tables[name] for name in (*program.inputs, *operation.inputs)}
        query = render(
            audit(program, operation.output, element, 1, sources=sources, constants=constants),
            MODERN,
        )
        row = chdb.execute(query.text, query.parameters)
        assert row["value"].tolist() == [int(tensor[element])], operation.output
