"""ClickHouse: chDB in this process, or a server over its native protocol."""

from quantlab.deploy.clickhouse.engines.connect import connect_driver, open_chdb, open_scratch
from quantlab.deploy.clickhouse.engines.connection import Columns, Connection, Parameters, Values

__all__ = [
    "Columns",
    "Connection",
    "Parameters",
    "Values",
    "connect_driver",
    "open_chdb",
    "open_scratch",
]
