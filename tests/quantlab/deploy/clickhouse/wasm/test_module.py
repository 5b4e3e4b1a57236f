"""Modules in chDB against the interpreter, every tensor."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.wasm import check_module, module_of
from quantlab.errors import UsageError
from quantlab.integer.interpreter import run
from quantlab.integer.operations import OPERATIONS, Add
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S32, U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.clickhouse.wasm.layers import CASES, program_of
from tests.quantlab.deploy.clickhouse.wasm.wasm_engine import WasmEngine
from tests.quantlab.integer.programs import Author, inputs


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_chdb(tmp_path_factory.mktemp("chdb")) as found:
        yield found


def check(connection: Connection, program: Program, count: int, seed: int = 0) -> None:
    engine = WasmEngine(connection, program)
    (comparison,) = compare(program, {"wasm": engine}, [inputs(program, count, seed)])
    comparison.check()
    assert comparison.num_tensors == len(program.operations)


@pytest.mark.parametrize("name", CASES)
def test_layers(connection: Connection, name: str) -> None:
    check(connection, program_of(CASES[name]), 3)


@pytest.mark.parametrize(
    ("name", "num_outputs", "is_read"),
    [
        ("bits", 4, False),
        ("bits", 12, True),
        ("bits", 5, False),  # not done at once
        ("bits, long runs", 16, False),
        ("linear bits", 44, False),
        ("narrow", 8, False),
        ("narrow", 24, True),
        ("small weights, one channel", 40, False),
        ("shorts of 16 bits", 20, False),
        ("signs", 8, False),
    ],
)
def test_codes_of_sums(connection: Connection, name: str, num_outputs: int, is_read: bool) -> None:
    """Sums are there if they are asked for, or read by others."""
    program = program_of(replace(CASES[name], num_outputs=num_outputs), has_codes=True)
    if is_read:
        program = Program(
            inputs=program.inputs, operations=program.operations, outputs=("y", "codes")
        )
    check(connection, program, 3)


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(connection: Connection, seed: int) -> None:
    check(connection, Author(seed).program(8), 3, seed)


@pytest.mark.long
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 14))
def test_many_random_programs(connection: Connection, seed: int, size: int) -> None:
    check(connection, Author(seed).program(size), 2, seed)


def test_random_programs_have_every_operation() -> None:
    used = {type(o).__name__ for seed in range(40) for o in Author(seed).program(8).operations}
    assert used == set(OPERATIONS)


SIZES = (*range(1, 71), 127, 128, 129, 1023)


def test_batches_of_all_sizes(connection: Connection) -> None:
    """Buffers that are freed are poisoned, and lie one behind the other without gaps."""
    program = program_of(CASES["narrow"])
    engine = WasmEngine(connection, program)
    raw = inputs(program, max(SIZES), 1)["x"]
    wanted = [one.tobytes() for one in run(program, {"x": raw})["y"]]
    connection.execute("DROP TABLE IF EXISTS sizes")
    connection.execute(
        "CREATE TABLE sizes (size UInt32, id UInt32, image FixedString("
        f"{engine.module.row_bytes})) ENGINE = Memory"
    )
    for size in SIZES:  # each one an insert, which is a block
        columns = {"size": np.full(size, size), "id": np.arange(size)}
        connection.insert("sizes", {**columns, "image": [one.tobytes() for one in raw[:size]]})
    rows = connection.execute(
        f"SELECT size, groupArray(tensor) AS tensors FROM (SELECT size, id, {engine.function}"
        "(image, toUInt16(0)) AS tensor FROM sizes ORDER BY size, id) GROUP BY size ORDER BY size "
        "SETTINGS max_threads = 1"
    )
    assert list(rows["size"]) == list(SIZES)
    for size, tensors in zip(rows["size"], rows["tensors"], strict=True):
        assert list(tensors) == wanted[:size]


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("rows", [1, 7, 333, 65_409])
def test_blocks_and_threads(connection: Connection, rows: int, threads: int) -> None:
    program = program_of(CASES["bits"])
    settings = (
        f"max_threads = {threads}, max_block_size = {rows}, preferred_block_size_bytes = 0, "
        f"webassembly_udf_max_input_block_size = {rows}"
    )
    engine = WasmEngine(connection, program, settings)
    raw = inputs(program, 700, 3)["x"]
    wanted = run(program, {"x": raw})["y"]
    assert engine.rows(raw, 0) == [one.tobytes() for one in wanted]


def test_rows_may_ask_for_different_tensors(connection: Connection) -> None:
    program = program_of(CASES["narrow"])
    engine = WasmEngine(connection, program)
    raw = inputs(program, 5, 1)["x"]
    both = [engine.rows(raw, number) for number in (1, 2)]
    found = connection.execute(
        f"SELECT {engine.function}(image, toUInt16(1 + id % 2)) AS tensor FROM wasm_images "
        "ORDER BY id"
    )["tensor"]
    assert list(found) == [both[id % 2][id] for id in range(5)]


def test_a_number_of_no_tensor_ends_the_query_alone(connection: Connection) -> None:
    program = program_of(CASES["narrow"])
    engine = WasmEngine(connection, program)
    raw = inputs(program, 2, 1)["x"]
    with pytest.raises(UsageError) as error:
        engine.rows(raw, 3)
    assert "\n" not in str(error.value)
    assert len(engine.rows(raw, 2)) == 2


def test_rows_that_do_not_fit_end_the_query_alone(connection: Connection) -> None:
    program = Program(inputs={"x": TensorType((3 << 20,), U8)}, operations=(), outputs=("x",))
    raw = np.zeros((12, 3 << 20), np.uint8)  # 36 MiB, and as many of results
    no_splitting = "max_threads = 1, webassembly_udf_input_split_memory_ratio = 0"
    engine = WasmEngine(connection, program, no_splitting)
    with pytest.raises(UsageError) as error:
        engine.rows(raw, 0)
    assert "\n" not in str(error.value)
    engine = WasmEngine(
        connection, program, f"{no_splitting}, webassembly_udf_max_input_block_size = 8"
    )
    assert engine.rows(raw, 0) == [one.tobytes() for one in raw]


def test_several_outputs_and_an_input_among_them(connection: Connection) -> None:
    program = program_of(CASES["narrow"])
    program = Program(
        inputs=program.inputs, operations=program.operations, outputs=("y", "x", "t", "y")
    )
    engine = WasmEngine(connection, program)
    raw = inputs(program, 3, 1)["x"]
    found = run(program, {"x": raw})
    wanted = [b"".join(found[name][i].tobytes() for name in program.outputs) for i in range(3)]
    assert engine.rows(raw, 0) == wanted
    assert [one.number for one in engine.module.outputs] == [2, 0, 1, 2]


def test_modules_are_the_same_every_time() -> None:
    program = Author(3).program(9)
    module = module_of(program)
    assert module.code == module_of(program).code
    check_module(module.code, module.function)


def test_programs_of_several_inputs_are_refused() -> None:
    one = np.array(1)
    add = Add(
        inputs=("a", "b"), output="y", left_multiplier=one, right_multiplier=one, offset=one,
        shift=one, low=0, high=9, kind=S32,
    )  # fmt: skip
    kind = TensorType((2,), U8)
    program = Program(inputs={"a": kind, "b": kind}, operations=(add,), outputs=("y",))
    with pytest.raises(UsageError, match="inputs a, b given, one input allowed"):
        module_of(program)


def test_programs_that_need_too_much_memory_are_refused() -> None:
    program = Program(inputs={"x": TensorType((1 << 30,), U8)}, operations=(), outputs=("x",))
    with pytest.raises(UsageError, match=r"1,073,\d+,\d+ bytes of tensors and constants given"):
        module_of(program)
