"""The bytes of a network's stored weights beside its float32 weights.

`weights` are the packed weights alone, `constants` all that the program's file has of the layers,
thresholds and multipliers too; `in the store` is what ClickHouse keeps of them on disk, compressed.
The ratio is the bytes of float32 / the bytes.
"""

from collections.abc import Iterator

from benchmarks.database.programs import float_network
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.store.tables import DATABASE
from quantlab.integer.file import stored_tensors

PEER = "float32"
_PARTS = ("planes", "numbers")


def stored(name: str, workplace: Workplace) -> Iterator[Row]:
    """Yield the rows of float32, of the packed constants and of the tables on disk."""
    connection = workplace.connection
    floats = 4 * sum(parameter.numel() for parameter in float_network(name).parameters())
    store = Store(connection)
    for other in {model.name for model in store.models()}:
        store.remove(other)
    program = workplace.program(name)
    packed = {tensor: len(one.encode()) for tensor, one in stored_tensors(program).items()}
    store.load(workplace.model(name), program)
    for part in _PARTS:
        connection.execute(f"OPTIMIZE TABLE {DATABASE}.{part} FINAL")
    (on_disk,) = connection.execute(
        "SELECT sum(bytes_on_disk) AS n FROM system.parts "
        "WHERE active AND database = {database:String} AND table IN {parts:Array(String)}",
        {"database": DATABASE, "parts": list(_PARTS)},
    )["n"]
    sizes = {
        PEER: floats,
        "weights": sum(size for tensor, size in packed.items() if tensor.endswith(".weight")),
        "constants": sum(packed.values()),
        "in the store": int(on_disk),
    }
    for side, size in sizes.items():
        yield workplace.row(
            "stored bytes", name, side, value=size, unit="bytes", peer=PEER, ratio=floats / size
        )
