"""A trained LeNet of 4 bits, every tensor, in chDB and on ClickHouse 18.16."""

from pathlib import Path

import pytest

from problems.images.normalize import MNIST, normalize
from quantlab.deploy.clickhouse.engines import Connection, connect_driver, open_chdb
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.sql.dialect import LEGACY, MODERN, Dialect
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.verify import compare
from tests.clickhouse_server import HOST, need_server, running_server
from tests.models import stored
from tests.quantlab.integer.test_trained import photos

pytestmark = pytest.mark.long
SHAPE = (1, 28, 28)


def check(connection: Connection, dialect: Dialect) -> None:
    network = stored.network("lenet_w4a4")
    spec = InputSpec(shape=SHAPE, scale=MNIST.scale, zero_point=MNIST.zero_point)
    program = lower(network, spec, normalize(photos(64, SHAPE, 1), MNIST))
    engine = RelationalEngine(program, connection, dialect)
    raw = photos(6, SHAPE, 2).numpy()
    (found,) = compare(program, {dialect.name: engine}, [{"input": raw[:5]}, {"input": raw[5:]}])
    found.check()
    assert found.num_samples == 6


def test_in_chdb(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")
    with open_chdb(tmp_path) as connection:
        check(connection, MODERN)


def test_on_a_server(tmp_path: Path) -> None:
    pytest.importorskip("clickhouse_driver", reason="install quantlab[clickhouse]")
    need_server()
    with running_server(tmp_path) as found, connect_driver(HOST, found.port) as connection:
        check(connection, LEGACY)
