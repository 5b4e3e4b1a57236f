"""The float queries of the predecessor: the same numbers, where floats have them."""

from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.deploy.clickhouse.dl2sql.emit import DL2SQL
from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.relational.queries import relations_of
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.quantlab.deploy.clickhouse.relational.tiny import binary_program, images, whole_program

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb")) as connection:
        yield connection


@pytest.mark.parametrize(
    "program", [pytest.param(binary_program(), marks=pytest.mark.long), whole_program()]
)
def test_every_tensor_is_the_interpreters(program: Program, chdb: Connection) -> None:
    engine = RelationalEngine(program, chdb, MODERN, DL2SQL)
    (found,) = compare(program, {"dl2sql": engine}, [images(program, 2)])
    found.check()


def test_a_weight_is_a_row() -> None:
    program = binary_program()
    keys = {operation.output: "" for operation in program.operations}
    rows = relations_of(program, keys, DL2SQL)["kernels"]["weight"]
    assert len(rows) == sum(
        np.size(one.constants().get("weight", [])) for one in program.operations
    )
