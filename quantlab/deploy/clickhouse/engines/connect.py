"""The one module of the library that imports chdb and clickhouse-driver, when they are used."""

import gc
import logging
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import finalize

from quantlab.deploy.clickhouse.engines.arrow import from_stream, to_stream
from quantlab.deploy.clickhouse.engines.connection import Columns, Connection, Parameters, Values
from quantlab.deploy.clickhouse.engines.home import Home, scratch
from quantlab.deploy.clickhouse.engines.messages import error_of, server_error_of
from quantlab.deploy.clickhouse.engines.parameters import (
    identifier,
    parameter_text,
    plain_parameter,
    quoted,
)
from quantlab.deploy.clickhouse.engines.rows import check_lengths, from_driver, to_driver
from quantlab.deploy.clickhouse.engines.settings import session_settings
from quantlab.errors import UsageError

TIMEOUT_S = 600.0
_SLACK_S = 5.0  # that a server may take to say that a query took too long
_KNOWS_PARAMETERS = (22, 8)


def open_chdb(folder: Path, *, timeout_s: float = TIMEOUT_S) -> Connection:
    """Return chDB on a folder, which is made where there is none.

    timeout_s: what a query may take. Raises UsageError while another process has the folder open,
    or this one any other; for a path that chDB cannot take; and where chdb is not installed.
    """
    return _Chdb(Home(folder), timeout_s)


def open_scratch(*, timeout_s: float = TIMEOUT_S) -> Connection:
    """Return chDB on a temporary folder, which all these connections share, and which goes with
    the last. Temporary tables are each connection's own. Raises as `open_chdb`."""
    return _Chdb(scratch(), timeout_s)


class _Closed(ABC):
    """Is closed at the end of a block."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Chdb(_Closed):
    """chDB. Results and rows travel as Arrow."""

    def __init__(self, home: Home, timeout_s: float) -> None:
        try:
            from chdb import ChdbError
            from chdb.session import Session
        except ImportError as error:
            raise UsageError("chDB is not installed; install quantlab[clickhouse]") from error
        self._error, self._timeout_s = ChdbError, timeout_s
        try:
            self._session: Any = Session(home.address)
        except RuntimeError:
            gc.collect()  # what nobody holds any more may have another folder open
            try:
                self._session = Session(home.address)
            except RuntimeError as error:
                raise error_of(str(error), timeout_s) from error
        self._end = finalize(self, _end, self._session, home)
        for name, value in session_settings(timeout_s).items():
            self.execute(f"SET {name} = {value}")
        (version,) = self.execute("SELECT version() AS version")["version"]
        self.version: str = version.decode()

    def execute(self, sql: str, parameters: Parameters | None = None) -> Columns:
        texts = {name: parameter_text(name, value) for name, value in (parameters or {}).items()}
        try:
            data = self._open().query(sql, "ArrowStream", params=texts or None).bytes()
        except (self._error, RuntimeError) as error:
            self._drain()
            raise error_of(str(error), self._timeout_s) from error
        return from_stream(data) if data else {}

    def insert(self, table: str, columns: Values) -> None:
        check_lengths(columns)
        names = ", ".join(map(identifier, columns))
        query, data = f"INSERT INTO {quoted(table)} ({names})", to_stream(columns)
        try:
            with self._open().send_insert(query, "ArrowStream") as inserter:
                inserter.append(data)
                inserter.finish()
        except RuntimeError as error:
            self._drain()
            raise error_of(str(error), self._timeout_s) from error

    def _drain(self) -> None:
        """Discard the rows that a failed query had given: chDB puts them before the next result."""
        self._open().query("SELECT 1", "ArrowStream")

    def _open(self) -> Any:
        if self._session is None:
            raise UsageError("ClickHouse: this connection is closed")
        return self._session

    def close(self) -> None:
        self._session = None
        self._end()


def _end(session: Any, home: Home) -> None:
    """Close a session, and then let go of its folder."""
    session.close()


def connect_driver(
    host: str, port: int = 9000, *, timeout_s: float = TIMEOUT_S, **login: str
) -> Connection:
    """Return a server by its native protocol.

    login: what else `clickhouse_driver.Client` takes by name: user, password, database.
    timeout_s: what a query may take. Raises UsageError where no server answers.
    """
    return _Driver(host, port, timeout_s, login)


class _Driver(_Closed):
    """A server. Parameters are `{name:Type}` on one that knows them (22.8), else `%(name)s`."""

    def __init__(self, host: str, port: int, timeout_s: float, login: Mapping[str, str]) -> None:
        try:
            from clickhouse_driver import Client
            from clickhouse_driver.errors import Error
        except ImportError as error:
            raise UsageError(
                "clickhouse-driver is not installed; install quantlab[clickhouse]"
            ) from error
        logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
        self._errors = (Error, OSError, EOFError)
        self._timeout_s, self._place = timeout_s, f"{host}:{port}"
        self._client: Any = Client(
            host,
            port=port,
            send_receive_timeout=timeout_s + _SLACK_S,
            settings={"strings_as_bytes": True, "max_execution_time": max(1, round(timeout_s))},
            **login,
        )
        self._end = finalize(self, self._client.disconnect)
        (version,) = self.execute("SELECT version() AS version")["version"]
        self.version: str = version.decode()
        if tuple(map(int, self.version.split(".")[:2])) >= _KNOWS_PARAMETERS:
            self._client.settings["server_side_params"] = True

    def execute(self, sql: str, parameters: Parameters | None = None) -> Columns:
        plain = {name: plain_parameter(name, value) for name, value in (parameters or {}).items()}
        with self._told():
            result = self._open().execute(sql, plain or None, columnar=True, with_column_types=True)
        if not isinstance(result, tuple):
            return {}
        values, named = result
        columns = values or [()] * len(named)
        return {
            name: from_driver(column, kind)
            for column, (name, kind) in zip(columns, named, strict=True)
        }

    def insert(self, table: str, columns: Values) -> None:
        names = ", ".join(map(identifier, columns))
        check_lengths(columns)
        rows = [to_driver(values) for values in columns.values()]
        with self._told():
            self._open().execute(
                f"INSERT INTO {quoted(table)} ({names}) VALUES", rows, columnar=True
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let errors be in one line."""
        try:
            yield
        except self._errors as error:
            raise server_error_of(error, self._place, self._timeout_s) from error
        except (TypeError, ValueError, struct.error) as error:
            raise UsageError(f"ClickHouse: {type(error).__name__}: {error}") from error

    def _open(self) -> Any:
        if self._client is None:
            raise UsageError("ClickHouse: this connection is closed")
        return self._client

    def close(self) -> None:
        self._client = None
        self._end()
