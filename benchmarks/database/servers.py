"""The queries of `relational` on ClickHouse 18.16.1, a server of Debian that is started for it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.database import mismatches
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.engines import connect_driver
from quantlab.deploy.clickhouse.sql.dialect import LEGACY
from quantlab.errors import UsageError
from tests.clickhouse_server import HOST, running_server, what_servers_lack


def legacy(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of a network's queries. Raises UsageError where there is no server."""
    if what_servers_lack():
        raise UsageError(what_servers_lack())
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        connect_driver(HOST, server.port) as connection,
    ):
        yield from mismatches.relational(name, count, connection, LEGACY, workplace)
