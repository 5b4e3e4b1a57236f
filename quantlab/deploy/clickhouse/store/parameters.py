"""The parameters of layers: written once, read by their hashes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store.layers import Layer
from quantlab.deploy.clickhouse.store.query import delete, rows
from quantlab.deploy.clickhouse.store.tables import DATABASE

PARTS = ("planes", "numbers")
_AMONG = "has({layers:Array(String)}, layer)"
_LAYERS = f"SELECT DISTINCT layer, operation FROM {DATABASE}.layers WHERE {_AMONG}"
_PLANES = (
    f"SELECT layer, constant, neuron, plane, kept, words FROM {DATABASE}.planes WHERE {_AMONG} "
    "ORDER BY constant, neuron, plane LIMIT 1 BY layer, constant, neuron, plane"
)
_NUMBERS = (
    f"SELECT layer, constant, place, integers FROM {DATABASE}.numbers WHERE {_AMONG} "
    "ORDER BY constant, place LIMIT 1 BY layer, constant, place"
)


def write_layers(connection: Connection, layers: Sequence[Layer]) -> None:
    """Insert the layers that are not there. Each is complete once it is in `layers`; what a killed
    process left of one is removed first."""
    by_key = {layer.key: layer for layer in layers}
    known = {key for key, _ in rows(connection, _LAYERS, {"layers": list(by_key)})}
    new = [layer for key, layer in by_key.items() if key not in known]
    if not new:
        return
    keys = [layer.key for layer in new]
    for part in PARTS:
        delete(connection, f"{DATABASE}.{part}", _AMONG, {"layers": keys})
    for table, columns in tables_of(new).items():
        if columns["layer"]:
            connection.insert(f"{DATABASE}.{table}", columns)


def tables_of(layers: Sequence[Layer]) -> Mapping[str, Mapping[str, list[Any]]]:
    """Return the rows of layers, by the names of tables, in the order in which they are to be
    inserted."""
    texts = {"layer": [one.key for one in layers], "operation": [one.operation for one in layers]}
    return {**{part: _joined(layers, part) for part in PARTS}, "layers": texts}


def read_layers(connection: Connection, keys: Iterable[str]) -> Mapping[str, Layer]:
    """Return the layers that are there, by their hashes."""
    wanted = {"layers": sorted(set(keys))}
    planes, numbers = (_by_layer(rows(connection, sql, wanted)) for sql in (_PLANES, _NUMBERS))
    return {
        key: Layer(
            key=key,
            operation=operation,
            planes=_columns(("constant", "neuron", "plane", "kept", "words"), planes.get(key, [])),
            numbers=_columns(("constant", "place", "integers"), numbers.get(key, [])),
        )
        for key, operation in rows(connection, _LAYERS, wanted)
    }


def _joined(layers: Sequence[Layer], part: str) -> Mapping[str, list[Any]]:
    """Return the rows of all layers in a table."""
    joined: dict[str, list[Any]] = {"layer": []}
    for layer in layers:
        own = getattr(layer, part)
        joined["layer"] += [layer.key] * len(own["constant"])
        for name, values in own.items():
            joined.setdefault(name, []).extend(values)
    return joined


def _by_layer(found: Sequence[tuple[Any, ...]]) -> Mapping[str, list[tuple[Any, ...]]]:
    by_layer: dict[str, list[tuple[Any, ...]]] = {}
    for layer, *row in found:
        by_layer.setdefault(layer, []).append(tuple(row))
    return by_layer


def _columns(names: Sequence[str], found: Sequence[tuple[Any, ...]]) -> Mapping[str, list[Any]]:
    return {name: [row[place] for row in found] for place, name in enumerate(names)}
