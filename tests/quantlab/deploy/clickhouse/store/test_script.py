"""The script of a model: read back, run by a stock engine, and refused where it was changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from quantlab.deploy.clickhouse.artefact import CLICKHOUSE, SERVER, server
from quantlab.deploy.clickhouse.engines import Connection, open_scratch
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.store.script import (
    program_in,
    read_script,
    script_of,
    statements_in,
)
from quantlab.deploy.folder import complete
from quantlab.deploy.verification import verify
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.operations import Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from tests.clickhouse_server import HOST, need_server, running_server
from tests.quantlab.integer.programs import Author, inputs

PROGRAM = Author(3).program(6)
SCRIPT = script_of("net", PROGRAM)
STOCK = {
    "webassembly_udf_max_fuel": 1,
    "max_query_size": 262144,
    "allow_suspicious_fixed_string_types": 0,
}


@pytest.fixture
def connection() -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_scratch(timeout_s=20) as one:
        yield one


def test_a_script_has_its_program() -> None:
    assert script_of("net", PROGRAM) == SCRIPT
    assert SCRIPT.isascii()
    assert to_bytes(program_in(SCRIPT, "model.sql")) == to_bytes(PROGRAM)
    assert to_bytes(read_script(SCRIPT, "model.sql")) == to_bytes(PROGRAM)


def test_names_of_quantizers_may_come_in_any_order() -> None:
    """A program's file has them in order."""
    operation = Reshape(inputs=("x",), output="y", shape=(2, 4))
    program = Program(
        inputs={"x": TensorType((8,), U8)},
        operations=(operation,),
        outputs=("y",),
        quantizers={"b": "y", "a": "x"},
    )
    read_script(script_of("net", program), "model.sql")


def test_a_stock_engine_runs_it(connection: Connection) -> None:
    """Even one whose limits are lower than those of a server."""
    for setting, value in STOCK.items():
        connection.execute(f"SET {setting} = {value}")
    for statement in statements_in(SCRIPT):
        connection.execute(statement)
    batch = inputs(PROGRAM, 1, 0)
    (output,) = PROGRAM.outputs
    found = connection.execute(
        "SELECT net_scores({image:String}) AS y", {"image": batch["x"].tobytes()}
    )["y"][0]
    assert found.tolist() == run(PROGRAM, batch)[output].reshape(-1).tolist()
    store = Store(connection)
    assert [(model.name, model.version, model.is_active) for model in store.models()] == [
        ("net", 1, True)
    ]
    assert to_bytes(store.program("net")) == to_bytes(PROGRAM)
    (guard,) = [one for one in statements_in(SCRIPT) if "throwIf(count()" in one]
    with pytest.raises(
        UsageError, match=r"a model net is there: main\.py store load adds versions"
    ):
        connection.execute(guard)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda script: script.replace(b"INSERT INTO", b"SELECT 1; INSERT INTO", 1), "statements"),
        (lambda script: script + b"DROP TABLE quantlab.models;\n", "its statements are not those"),
        (lambda script: script[40:], "not a script of QuantLab"),
        (
            lambda script: script.replace(b"program: ", b"program: AAAA", 1),
            "not a file of QuantLab",
        ),
        (lambda script: script.replace(b"program: ", b"program: *", 1), "first line, the program"),
        (lambda script: b"", "not a script of QuantLab"),
    ],
)
def test_a_script_that_was_changed_is_refused(change: object, said: str) -> None:
    assert callable(change)
    with pytest.raises(VerificationError, match=said) as raised:
        read_script(change(SCRIPT), "model.sql")
    assert "\n" not in str(raised.value)


def test_another_networks_script_is_told_by_its_tensor(tmp_path: Path) -> None:
    complete(CLICKHOUSE, {"network": PROGRAM}, tmp_path, {})
    with pytest.raises(VerificationError, match=r"tensor '.*' is not that of the run's network"):
        complete(CLICKHOUSE, {"network": Author(4).program(6)}, tmp_path, {})


def test_a_program_of_two_inputs_has_no_functions() -> None:
    program = Program(
        inputs={"x": TensorType((8,), U8), "z": TensorType((8,), U8)},
        operations=(Reshape(inputs=("x",), output="y", shape=(2, 4)),),
        outputs=("y",),
    )
    script = script_of("net", program)
    assert b"FUNCTION" not in script
    assert to_bytes(read_script(script, "model.sql")) == to_bytes(program)


@pytest.mark.parametrize("name", ["a'; DROP TABLE x; --", "", "a b"])
def test_names_are_words(name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits and '_' allowed"):
        script_of(name, PROGRAM)


def test_text_of_any_kind_is_only_text(connection: Connection) -> None:
    """Names of tensors come from networks: they may have quotes."""
    name = "y'); DROP TABLE models; -- \\ \u00e9\n"
    program = Program(
        inputs={"x": TensorType((8,), U8)},
        operations=(Reshape(inputs=("x",), output=name, shape=(2, 4), layer=name),),
        outputs=(name,),
    )
    script = script_of("quoted", program)
    for statement in statements_in(script):
        connection.execute(statement)
    assert to_bytes(Store(connection).program("quoted")) == to_bytes(program)


def test_verification_runs_the_code_that_classifies() -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    names = "clickhouse-wasm,clickhouse-relational"
    for comparison in verify(PROGRAM, [inputs(PROGRAM, 3, 1)], backends=names):
        assert comparison.num_mismatches == 0
        assert comparison.num_tensors == len(PROGRAM.operations)


@pytest.mark.parametrize("given", ["", "host", "host:", ":9000", "host:x", "host:0", "host:65536"])
def test_a_place_of_a_server_is_host_and_port(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER, given)
    with pytest.raises(UsageError, match=f"{SERVER}='{given}' given, host:port allowed"):
        server()


def test_an_old_server_verifies_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_server()
    with running_server(tmp_path) as running:
        monkeypatch.setenv(SERVER, f"{HOST}:{running.port}")
        (found,) = verify(PROGRAM, [inputs(PROGRAM, 2, 1)], backends="clickhouse-legacy")
    assert found.num_mismatches == 0
    with pytest.raises(UsageError, match=f"no server answers at {HOST}:{running.port}"):
        verify(PROGRAM, [inputs(PROGRAM, 2, 1)], backends="clickhouse-legacy")
