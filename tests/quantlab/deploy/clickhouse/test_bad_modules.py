"""Modules that fail while they run: the query ends with one line, and the engine goes on."""

from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_scratch
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.wasm import check_module
from quantlab.deploy.clickhouse.wasm.binary import PAGE, Function, encode
from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.buffers import ALLOCATE, DESTROY, allocate, destroy
from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.errors import UsageError
from quantlab.integer.operations import Linear
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType

_PAGES = 64
_SIZE = 10_000


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_scratch(timeout_s=1) as one:
        yield one


def module_of(body: Body) -> bytes:
    """Return a module whose function `classify` has a body."""
    functions = [
        allocate(_PAGES * PAGE),
        destroy(0, is_poisoned=False),
        Function(body=body, num_parameters=2, has_result=True),
    ]
    exports = {ALLOCATE: 0, DESTROY: 1, "classify": 2}
    return encode(functions, exports, _PAGES, [64, 0], {})


def function_of(connection: Connection, name: str, code: bytes) -> None:
    """Make a function of a module."""
    check_module(code, "classify")
    connection.insert("system.webassembly_modules", {"name": [name], "code": [code]})
    connection.execute(
        f"CREATE FUNCTION {name} LANGUAGE WASM ARGUMENTS (image FixedString(4), tensor UInt16) "
        f"RETURNS String FROM '{name}' :: 'classify' ABI BUFFERED_V1 "
        "SETTINGS serialization_format = 'RowBinary', webassembly_udf_enable_fuel = 0"
    )


def refused(connection: Connection, query: str, said: str) -> None:
    """Expect a query to end with one line, and the next one to have its own rows alone."""
    with pytest.raises(UsageError, match=said) as raised:
        connection.execute(query)
    assert "\n" not in str(raised.value)
    assert connection.execute("SELECT 1 AS x")["x"].tolist() == [1]


def test_an_endless_loop_ends_in_time(connection: Connection) -> None:
    body = Body([I32, I32])
    endless = 2**31 - 1
    with body.repeated(endless), body.repeated(endless):
        body.set_global(1, body.get_global(1) + 1)
    body.give(body.parameter(I32, 0))
    function_of(connection, "endless", module_of(body))
    refused(
        connection,
        "SELECT endless(toFixedString('abcd', 4), toUInt16(0)) AS y",
        "the query took more than 1 s",
    )


def test_a_trap_ends_the_query(connection: Connection) -> None:
    body = Body([I32, I32])
    body.trap()
    body.give(body.parameter(I32, 0))
    function_of(connection, "trapped", module_of(body))
    refused(
        connection,
        "SELECT trapped(toFixedString('abcd', 4), toUInt16(0)) AS y",
        "the module failed",
    )


def test_a_result_that_is_none_ends_the_query(connection: Connection) -> None:
    """It returns address 0, which is no buffer."""
    body = Body([I32, I32])
    body.give(I32.of(0))
    function_of(connection, "without_result", module_of(body))
    refused(
        connection,
        "SELECT without_result(toFixedString('abcd', 4), toUInt16(0)) AS y",
        "the module failed",
    )


def test_rows_beyond_the_memory_of_a_module_end_the_query(connection: Connection) -> None:
    program = Program(
        inputs={"x": TensorType((_SIZE,), U8)},
        operations=(
            Linear(
                inputs=("x",),
                output="y",
                weight=np.ones((2, _SIZE), int),
                weight_bits=1,
                bias=np.zeros(2, int),
            ),
        ),
        outputs=("y",),
    )
    store = Store(connection)
    store.load("large", program)
    count = store.interface("large").buffer_bytes // _SIZE + 100
    query = f"SELECT uniqExact(large_scores(repeat('a', {_SIZE}))) AS y FROM numbers({count})"
    settings = f"SETTINGS max_block_size = {2 * count}, webassembly_udf_max_input_block_size"
    distinct = query.replace("'a'", "if(number % 2, 'a', 'b')")
    refused(connection, f"{distinct} {settings} = {2 * count}", "the module failed")
    few = store.interface("large").rows_per_call
    assert connection.execute(f"{distinct} {settings} = {few}")["y"].tolist() == [2]
