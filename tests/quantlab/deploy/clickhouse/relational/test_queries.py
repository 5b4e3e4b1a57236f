"""The queries of programs: their text, and what they compute in chDB, tensor by tensor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from quantlab.deploy.clickhouse.dl2sql.emit import DL2SQL
from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.emit import emit
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.errors import UsageError
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import OPERATIONS, Lookup, Operation, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.clickhouse.relational.golden_texts import (
    DIALECTS,
    PROGRAMS,
    audit_text,
    path_of,
    text_of,
)
from tests.quantlab.deploy.clickhouse.relational.tiny import (
    binary_program,
    images,
    ternary_program,
    whole_program,
)
from tests.quantlab.integer.programs import Author, beyond_the_border, inputs

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb")) as connection:
        yield connection


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_texts_are_the_golden_ones(name: str, dialect: str) -> None:
    found = text_of(PROGRAMS[name](), DIALECTS[dialect])
    assert found == path_of(name, dialect).read_text(), (
        "queries have another text; see tests/quantlab/deploy/clickhouse/relational/golden_texts.py"
    )


def test_the_text_of_an_audit_is_the_golden_one() -> None:
    assert audit_text() == path_of("audit", MODERN.name).read_text()


def test_no_number_of_a_program_is_in_the_text() -> None:
    one, other = (text_of(binary_program(seed), MODERN).splitlines() for seed in (1, 2))
    assert [x for x in one if x[:2] != "--"] == [x for x in other if x[:2] != "--"]


def test_the_programs_have_all_operations() -> None:
    made = {type(one).__name__ for p in PROGRAMS.values() for one in p().operations}
    assert made == set(OPERATIONS)


def test_an_operation_that_has_no_query_is_refused_by_name() -> None:
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Unheard(Operation):
        def infer(self, inputs: Sequence[TensorType]) -> TensorType:
            return self.one(inputs)

    operation = Unheard(inputs=("x",), output="y", layer="odd")
    with pytest.raises(UsageError, match=r"Unheard 'y' \(odd\): ClickHouse's relational lowering"):
        emit(operation, None)


class Shuffled:
    """A connection into which rows go in another order."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._random = connection, np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def insert(self, table: str, columns: Mapping[str, Any]) -> None:
        order = self._random.permutation(len(next(iter(columns.values()))))
        rows = {name: np.asarray(values)[order] for name, values in columns.items()}
        self._connection.insert(table, rows)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_tensor_is_the_interpreters(name: str, chdb: Connection) -> None:
    program = PROGRAMS[name]()
    check(program, chdb, images(program, 3))


def check(program: Program, connection: Any, samples: Mapping[str, Any]) -> None:
    engine = RelationalEngine(program, connection, MODERN)
    (found,) = compare(program, {"relational": engine}, [samples])
    found.check()


@pytest.mark.parametrize("program_of", [beyond_the_border, ternary_program])
def test_odd_windows_and_large_numbers(program_of: Callable[[], Program], chdb: Connection) -> None:
    program = program_of()
    check(program, chdb, images(program, 2))


@pytest.mark.parametrize(("threads", "block"), [(1, 1), (2, 7), (8, 333), (8, 65_409)])
def test_order_threads_and_blocks_do_not_matter(threads: int, block: int, chdb: Connection) -> None:
    program = binary_program(3)
    chdb.execute(f"SET max_threads = {threads}, max_block_size = {block}")
    try:
        check(program, Shuffled(chdb), images(program, 1 if block == 1 else 4))
    finally:
        chdb.execute("SET max_threads = DEFAULT, max_block_size = DEFAULT")


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 40))]
)
def test_random_programs(seed: int, chdb: Connection) -> None:
    program = Author(seed).program(8)
    check(program, chdb, inputs(program, 2, seed))


def test_engines_of_one_connection_do_not_meet(chdb: Connection) -> None:
    programs = {"one": ternary_program(1), "two": ternary_program(2)}
    engines = {name: RelationalEngine(one, chdb, MODERN) for name, one in programs.items()}
    engines["float"] = RelationalEngine(programs["one"], chdb, MODERN, DL2SQL)
    programs["float"] = programs["one"]
    for name, engine in engines.items():
        samples = images(programs[name], 1)
        expected = dict(execute(programs[name], samples))
        sums = dict(engine.execute(samples))["sums"]
        np.testing.assert_array_equal(sums, expected["sums"])


def test_no_samples_are_no_rows(chdb: Connection) -> None:
    check(whole_program(), chdb, images(whole_program(), 0))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": np.zeros((2, 2, 6, 5), np.int64)}, r"input 'x': int64\[2, 2, 6, 5\] given, u8 of"),
        ({"x": np.zeros((2, 6, 5), np.uint8)}, r"input 'x': uint8\[2, 6, 5\] given"),
        ({"y": np.zeros((2, 2, 6, 5), np.uint8)}, r"inputs: \['y'\] given, \['x'\] allowed"),
    ],
)
def test_other_inputs_are_refused(given: dict[str, Any], words: str, chdb: Connection) -> None:
    engine = RelationalEngine(whole_program(), chdb, MODERN)
    with pytest.raises(UsageError, match=words):
        list(engine.execute(given))


def test_names_of_tensors_are_names(chdb: Connection) -> None:
    names = {"x": "x`; DROP TABLE words; --", "y": "'{layer:String}'\\", "z": "%(layer)s \n"}
    program = Program(
        inputs={names["x"]: TensorType((3,), U8)},
        operations=(
            Reshape(inputs=(names["x"],), output=names["y"], shape=(1, 3)),
            Lookup(inputs=(names["y"],), output=names["z"], table=np.arange(256) - 128, kind=S8),
        ),
        outputs=(names["z"],),
    )
    given = {names["x"]: np.array([[0, 7, 255]], np.uint8)}
    check(program, chdb, given)
    engine = RelationalEngine(program, chdb, MODERN)
    list(engine.execute(given))
    sources = {names["x"]: engine.tables[names["x"]]}
    query = render(
        audit(program, names["z"], 1, 0, sources=sources, constants=engine.constants), MODERN
    )
    assert chdb.execute(query.text, query.parameters)["value"].tolist() == [-121]
