"""The queries of programs on ClickHouse 18.16, tensor by tensor."""

from collections.abc import Iterator

import pytest

from quantlab.deploy.clickhouse.engines import Connection, connect_driver
from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.sql.dialect import LEGACY
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.clickhouse_server import HOST, need_server, running_server
from tests.quantlab.deploy.clickhouse.relational.tiny import (
    binary_program,
    images,
    ternary_program,
    whole_program,
)
from tests.quantlab.integer.programs import Author, inputs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    pytest.importorskip("clickhouse_driver", reason="install quantlab[clickhouse]")
    need_server()
    with (
        running_server(tmp_path_factory.mktemp("server")) as found,
        connect_driver(HOST, found.port) as connection,
    ):
        yield connection


@pytest.mark.parametrize("program", [binary_program(), ternary_program(), whole_program()])
def test_every_tensor_is_the_interpreters(program: Program, server: Connection) -> None:
    engine = RelationalEngine(program, server, LEGACY)
    (found,) = compare(program, {"clickhouse-legacy": engine}, [images(program, 2)])
    found.check()


def test_an_audit_from_the_image(server: Connection) -> None:
    program = binary_program()
    engine = RelationalEngine(program, server, LEGACY)
    samples = images(program, 2)
    scores = dict(engine.execute(samples))["scores"]
    sources = {"x": engine.tables["x"]}
    statement = audit(program, "scores", 3, 1, sources=sources, constants=engine.constants)
    query = render(statement, LEGACY)
    assert server.execute(query.text, query.parameters)["value"].tolist() == [int(scores[1, 3])]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed: int, server: Connection) -> None:
    program = Author(seed).program(8)
    engine = RelationalEngine(program, server, LEGACY)
    (found,) = compare(program, {"clickhouse-legacy": engine}, [inputs(program, 2, seed)])
    found.check()
