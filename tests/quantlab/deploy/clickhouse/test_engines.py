"""chDB in this process and a server of Debian: the same calls, and errors in one line."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, connect_driver, open_chdb
from quantlab.errors import UsageError
from tests.clickhouse_server import HOST, Server, need_server, running_server

TABLE = (
    "CREATE TABLE m.`a b``c` (i UInt64, w Array(UInt64), f FixedString(784), s String, b Int8,"
    " e Float64, n Nullable(Int32)) ENGINE = MergeTree ORDER BY i"
)
NAME = "m.a b`c"


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_chdb(tmp_path_factory.mktemp("chdb"), timeout_s=1) as connection:
        yield connection


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_server()
    with running_server(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="module")
def legacy(server: Server) -> Iterator[Connection]:
    with connect_driver(HOST, server.port, timeout_s=1) as connection:
        yield connection


@pytest.fixture(params=["chdb", "legacy"])
def engine(request: pytest.FixtureRequest) -> Connection:
    connection: Connection = request.getfixturevalue(request.param)
    return connection


@pytest.fixture
def table(engine: Connection) -> Connection:
    engine.execute("CREATE DATABASE IF NOT EXISTS m")
    engine.execute("DROP TABLE IF EXISTS m.`a b``c`".replace("``", "\\`"))
    engine.execute(TABLE.replace("``", "\\`"))
    return engine


def test_what_is_inserted_is_read(table: Connection) -> None:
    rows = {
        "i": np.array([0, 1, 2], np.uint64),
        "w": [[1, 2], [], [2**63 + 1]],
        "f": [bytes(783) + b"x"] * 3,
        "s": ["\u00e9", b"\xff\0", "a'b"],
        "b": [-1, 2, 127],
        "e": np.arange(3) / 3,
        "n": [1, None, -3],
    }
    table.insert(NAME, rows)
    found = table.execute("SELECT * FROM m.`a b\\`c` ORDER BY i")
    assert list(found) == list(rows)
    assert [row.tolist() for row in found["w"]] == rows["w"]
    assert {row.dtype for row in found["w"]} == {np.dtype(np.uint64)}
    assert found["f"].tolist() == rows["f"]
    assert found["s"].tolist() == [b"\xc3\xa9", b"\xff\0", b"a'b"]
    assert found["b"].dtype == np.int8
    assert found["b"].tolist() == rows["b"]
    np.testing.assert_array_equal(found["e"], rows["e"])
    assert found["n"].tolist() == rows["n"]


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("i", [None], "NULL|required argument"),
        ("i", ["'); DROP TABLE m.t; --"], "Cannot parse|required argument"),
        ("f", [bytes(785)], "too long|TooLarge"),
        ("none", [1], "No such column none"),
        ("none`) VALUES (1); --", [1], "No such column"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(
    table: Connection, column: str, values: list[object], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        table.insert(NAME, {column: values})
    assert "\n" not in str(raised.value)
    assert table.execute("SELECT count() AS n FROM m.`a b\\`c`")["n"].tolist() == [0]


def test_columns_have_one_length(table: Connection) -> None:
    with pytest.raises(UsageError, match="'i': 2, 'b': 1} rows given"):
        table.insert(NAME, {"i": [1, 2], "b": [1]})


def test_no_rows_are_inserted(table: Connection) -> None:
    table.insert(NAME, {"i": np.empty(0, np.uint64), "s": [], "w": []})
    assert table.execute("SELECT count() AS n FROM m.`a b\\`c`")["n"].tolist() == [0]


def test_whole_numbers_stay_exact(table: Connection) -> None:
    rows = [[1], [2**64 - 1], [2**53 + 1]]
    table.insert(NAME, {"i": [1, 2, 3], "w": rows})
    found = table.execute("SELECT w FROM m.`a b\\`c` ORDER BY i")["w"]
    assert [row.tolist() for row in found] == rows


@pytest.mark.parametrize("value", ["", "a'b", "\\", "\t\n\r\0`", "\u00e9", "'; DROP TABLE x; --"])
def test_values_are_not_part_of_the_query(engine: Connection, value: str) -> None:
    is_modern = engine.version > "19"
    text, numbers = ("{x:String}", "{y:Array(UInt16)}") if is_modern else ("%(x)s", "%(y)s")
    found = engine.execute(
        f"SELECT {text} AS x, {numbers} AS y", {"x": value, "y": np.array([1, 300])}
    )
    assert found["x"].tolist() == [value.encode()]
    assert found["y"][0].tolist() == [1, 300]


def test_bytes_and_lists_of_text_are_values(chdb: Connection) -> None:
    found = chdb.execute(
        "SELECT {f:FixedString(4)} AS f, {t:Array(String)} AS t, {n:Float64} AS n",
        {"f": b"\xff\0'\\", "t": ["a'b", "\t", "\u00e9"], "n": np.float32(0.5)},
    )
    assert found["f"].tolist() == [b"\xff\0'\\"]
    assert found["t"][0].tolist() == [b"a'b", b"\t", b"\xc3\xa9"]
    assert found["n"].tolist() == [0.5]


def test_other_values_are_refused_by_name(engine: Connection) -> None:
    with pytest.raises(UsageError, match="parameter 'x': a set given"):
        engine.execute("SELECT 1", {"x": {1}})


def test_bytes_that_are_no_text_do_not_reach_an_old_server(legacy: Connection) -> None:
    with pytest.raises(UsageError, match="parameter 'x': bytes that are no UTF-8"):
        legacy.execute("SELECT %(x)s", {"x": b"\xff"})


def test_a_failed_query_leaves_nothing_in_the_next_result(engine: Connection) -> None:
    """chDB puts the rows that a failed query had given before those of the next one."""
    failing = (
        "SELECT number AS x, if(number = 70000, throwIf(1), 0) AS y FROM numbers(80000)"
        if engine.version > "19"
        else "SELECT number AS x, throwIf(number = 70000) AS y FROM numbers(80000)"
    )
    with pytest.raises(UsageError, match="395"):
        engine.execute(failing)
    assert engine.execute("SELECT 7 AS z")["z"].tolist() == [7]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT nope", "(?i)unknown.*nope.*47"),
        ("SELECT 1 FROM nowhere", "nowhere"),
        ("SELECT 1; SELECT 2", "(?i)several statements|multi-statements"),
        ("SELECT (", "(?i)syntax error"),
    ],
)
def test_errors_are_one_line(engine: Connection, query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        engine.execute(query)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    assert engine.execute("SELECT 1 AS x")["x"].tolist() == [1]


def test_a_query_ends_in_time(engine: Connection) -> None:
    with pytest.raises(UsageError, match="more than 1 s"):
        engine.execute("SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(number)")
    assert engine.execute("SELECT 1 AS x")["x"].tolist() == [1]


def test_an_empty_result_has_its_columns(engine: Connection) -> None:
    found = engine.execute(
        "SELECT number AS x, toString(number) AS y FROM numbers(5) WHERE number > 9"
    )
    assert [len(values) for values in found.values()] == [0, 0]
    assert list(found) == ["x", "y"]


def test_chdb_is_opened_with_wasm_and_the_log_of_queries(chdb: Connection) -> None:
    chdb.execute("SELECT 4711")
    chdb.execute("SYSTEM FLUSH LOGS")
    found = chdb.execute(
        "SELECT memory_usage AS m FROM system.query_log WHERE query LIKE '%4711%' AND type = 2"
    )
    assert len(found["m"]) >= 1
    assert chdb.execute("SELECT count() AS n FROM system.webassembly_modules")["n"].tolist() == [0]


def test_a_folder_is_open_once(chdb: Connection, tmp_path: Path) -> None:
    """The path of the open one is in the message, for this process's other folders too."""
    with pytest.raises(UsageError, match="this process has this store open"):
        open_chdb(tmp_path)
    with pytest.raises(UsageError, match="a path without"):
        open_chdb(tmp_path / "a?b")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="no folder"):
        open_chdb(tmp_path / "file")


SECOND = """
import sys
from pathlib import Path
from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.errors import UsageError
try:
    with open_chdb(Path(sys.argv[1])) as connection:
        print("open", flush=True)
        sys.stdin.read()
except UsageError as error:
    print(error)
"""


def test_a_second_process_is_told_which_has_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    command = [sys.executable, "-c", SECOND, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
        assert done.stdout == (
            f"{tmp_path}: process {first.pid} has this store open, one at a time allowed; "
            "wait for its end\n"
        )
        os.kill(first.pid, signal.SIGKILL)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert done.stdout == "open\n"


def test_a_closed_connection_says_so(tmp_path: Path, server: Server) -> None:
    connection = connect_driver(HOST, server.port)
    connection.close()
    connection.close()
    with pytest.raises(UsageError, match="is closed"):
        connection.execute("SELECT 1")


def test_a_connection_that_nobody_holds_is_closed(server: Server) -> None:
    """An open socket that is collected would be a warning, and so an error here."""
    connect_driver(HOST, server.port).execute("SELECT 1")
    gc.collect()


def test_a_server_that_is_away_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    need_server()
    with running_server(tmp_path) as one:
        connection = connect_driver(HOST, one.port, timeout_s=1)
    with pytest.raises(UsageError, match=f"no server answers at {HOST}:{one.port}: Connection"):
        connection.execute("SELECT 1")
    with pytest.raises(UsageError, match="no server answers at"):
        connect_driver(HOST, one.port)
    assert capfd.readouterr().err == ""
