"""The tables of a store, in the database `quantlab`.

models       a version of a model: what of its program is no layer, as JSON, and the hash of all
model_layers the operations of a version in order: what they read and make, and their layer
layers       an operation without the names of its tensors, as JSON; it is complete: written last
planes       constants of few bits: a plane of a neuron's bits in words of 64, C order, the lowest
             bit first; words that are 0 in all planes are not stored: `kept` lists the others
numbers      all other constants, a row for each place of their first axis
modules      derived: the module of a program, by the program's hash
releases     which version a model's functions run: the last row of a model; version 0: none
calibration  what a query takes: fixed_ms, and image_ms for each image
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DATABASE = "quantlab"


@dataclass(frozen=True, kw_only=True)
class StoredTable:
    """A table of the store. columns: types by name. sorted_by: names."""

    columns: Mapping[str, str]
    sorted_by: Sequence[str]


TABLES: Mapping[str, StoredTable] = {
    "models": StoredTable(
        columns={
            "name": "String",
            "version": "UInt32",
            "program": "String",
            "header": "String",
            "num_bytes": "UInt64",
            "created": "DateTime('UTC') DEFAULT now()",
        },
        sorted_by=("name", "version"),
    ),
    "model_layers": StoredTable(
        columns={
            "name": "String",
            "version": "UInt32",
            "position": "UInt32",
            "layer": "String",
            "path": "String",
            "inputs": "Array(String)",
            "output": "String",
        },
        sorted_by=("name", "version", "position"),
    ),
    "layers": StoredTable(columns={"layer": "String", "operation": "String"}, sorted_by=("layer",)),
    "planes": StoredTable(
        columns={
            "layer": "String",
            "constant": "String",
            "neuron": "UInt32",
            "plane": "UInt8",
            "kept": "Array(UInt32)",
            "words": "Array(UInt64)",
        },
        sorted_by=("layer", "constant", "neuron", "plane"),
    ),
    "numbers": StoredTable(
        columns={
            "layer": "String",
            "constant": "String",
            "place": "UInt32",
            "integers": "Array(Int64)",
        },
        sorted_by=("layer", "constant", "place"),
    ),
    "modules": StoredTable(
        columns={
            "program": "String",
            "module": "String",
            "interface": "String",
            "code": "String",
        },
        sorted_by=("program",),
    ),
    "releases": StoredTable(
        columns={
            "name": "String",
            "number": "UInt64",
            "version": "UInt32",
            "time": "DateTime('UTC') DEFAULT now()",
        },
        sorted_by=("name", "number"),
    ),
    "calibration": StoredTable(
        columns={
            "name": "String",
            "version": "UInt32",
            "plan": "String",
            "fixed_ms": "Float64",
            "image_ms": "Float64",
            "time": "DateTime64(6, 'UTC') DEFAULT now64(6)",
        },
        sorted_by=("name", "version", "plan", "time"),
    ),
}


def creation(name: str) -> str:
    """Return the statement that makes a table. Rows are on disk before an insert returns."""
    table = TABLES[name]
    columns = ", ".join(f"{column} {_compressed(kind)}" for column, kind in table.columns.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {DATABASE}.{name} ({columns}) ENGINE = MergeTree "
        f"ORDER BY ({', '.join(table.sorted_by)}) "
        "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
    )


def _compressed(kind: str) -> str:
    return f"{kind} CODEC(ZSTD(9))"
