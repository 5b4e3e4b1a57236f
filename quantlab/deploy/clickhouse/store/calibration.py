"""What a query of a model takes: a part that does not depend on the images, and one for each."""

import time
from collections.abc import Callable
from statistics import median

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store.modules import Interface

_IMAGES, _ROUNDS = 512, 5
_TABLE = "calibration_images"


def measured_ms(connection: Connection, model: str, interface: Interface) -> tuple[float, float]:
    """Return fixed_ms and image_ms of a query of one thread: the medians of interleaved rounds on
    1 image and on 512, all zeros."""
    size, count = interface.row_bytes, min(_IMAGES, interface.rows_per_call + 1)
    connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    connection.execute(f"CREATE TEMPORARY TABLE {_TABLE} (id UInt32, image FixedString({size}))")
    connection.execute(
        f"INSERT INTO {_TABLE} SELECT number, toFixedString('', {size}) FROM numbers({count})"
    )
    query = (
        f"SELECT sum(cityHash64({model}_tensor(image, toUInt16(0)))) AS y FROM {_TABLE} "
        "WHERE id < {count:UInt32} SETTINGS max_threads = 1"
    )
    one, many = [], []
    for _ in range(_ROUNDS):
        one.append(_milliseconds(lambda: connection.execute(query, {"count": 1})))
        many.append(_milliseconds(lambda: connection.execute(query, {"count": count})))
    connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    image = max(0.0, (median(many) - median(one)) / max(1, count - 1))
    return max(0.0, median(one) - image), image


def _milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)
