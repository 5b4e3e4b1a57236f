"""Queries that read the parameters of the store."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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
from tests.quantlab.integer.programs import Author, inputs

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb")) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
        for name in TABLES:
            connection.execute(creation(name))
        yield connection


@pytest.mark.parametrize("program_of", [ternary_program, whole_program])
def test_elements_from_stored_parameters(
    program_of: Callable[[], Program], chdb: Connection
) -> None:
    program = program_of()
    check_elements(program, images(program, 2), chdb)


def test_rows_that_repeat_count_once(chdb: Connection) -> None:
    program = binary_program(7)
    write_layers(chdb, [layer_of(operation) for operation in program.operations])
    for table in ("planes", "numbers"):
        chdb.execute(f"INSERT INTO {DATABASE}.{table} SELECT * FROM {DATABASE}.{table}")
    check_elements(program, images(program, 2), chdb)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed: int, chdb: Connection) -> None:
    program = Author(seed).program(8)
    check_elements(program, inputs(program, 2, seed), chdb)


def check_elements(program: Program, samples: Mapping[str, NDArray[Any]], chdb: Connection) -> None:
    """Compare an element of each tensor whose operation has constants."""
    layers = {operation.output: layer_of(operation) for operation in program.operations}
    write_layers(chdb, list(layers.values()))
    constants = stored_constants({name: layer.key for name, layer in layers.items()}, DATABASE)
    engine = RelationalEngine(program, chdb, MODERN)
    found = dict(engine.execute(samples))
    random = np.random.default_rng(0)
    for operation in (one for one in program.operations if one.constants()):
        tensor = found[operation.output][1].reshape(-1)
        element = int(random.integers(tensor.size))
        sources = {name: engine.tables[name] for name in (*program.inputs, *operation.inputs)}
        statement = audit(
            program, operation.output, element, 1, sources=sources, constants=constants
        )
        query = render(statement, MODERN)
        row = chdb.execute(query.text, query.parameters)
        assert row["value"].tolist() == [int(tensor[element])], operation.output
