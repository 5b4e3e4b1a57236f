"""A model as a script of SQL: what `Store.load` does, for clickhouse-client and a stock server.

The first line has the program's file, so that a script is also what a store loads: the same program
gives the same script, and one that was changed is refused.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from quantlab.deploy.clickhouse.engines.parameters import literal
from quantlab.deploy.clickhouse.store.described import layer_rows, model_row, module_row
from quantlab.deploy.clickhouse.store.layers import layer_of
from quantlab.deploy.clickhouse.store.modules import compiled, functions_of
from quantlab.deploy.clickhouse.store.names import check_name
from quantlab.deploy.clickhouse.store.parameters import tables_of
from quantlab.deploy.clickhouse.store.tables import DATABASE, TABLES, creation
from quantlab.errors import VerificationError
from quantlab.integer.file import from_bytes, to_bytes
from quantlab.integer.program import Program

_HEAD = "-- QuantLab: a model as tables and functions of ClickHouse; the program: "
_NAME = re.compile(rb"FROM quantlab\.models WHERE name = '(\w+)';\n")
_ROWS = 1000  # of one INSERT


def script_of(name: str, program: Program) -> bytes:
    """Return the script of a model. Raises UsageError for a name that is no word, and for a program
    that no module can hold."""
    data = to_bytes(program)
    head = _HEAD + base64.b64encode(data).decode()
    stored = from_bytes(data, name)  # the file has names in order
    statements = _statements(check_name(name), stored, hashlib.sha256(data).hexdigest())
    return "\n".join([head, *(f"{statement};" for statement in statements), ""]).encode()


def program_in(script: bytes, source: str) -> Program:
    """Return the program of a script. source: its name, for errors.

    Raises VerificationError for bytes that are no script, and for a program that is damaged.
    """
    head, _, _ = script.partition(b"\n")
    if not head.startswith(_HEAD.encode()):
        raise VerificationError(f"{source}: not a script of QuantLab, or its first bytes differ")
    try:
        data = base64.b64decode(head[len(_HEAD) :], validate=True)
    except binascii.Error as error:
        raise VerificationError(f"{source}: its first line, the program, is damaged") from error
    return from_bytes(data, source)


def read_script(script: bytes, source: str) -> Program:
    """Return the program of a script, whatever model it makes. Raises VerificationError unless all
    statements are those of this program."""
    program = program_in(script, source)
    name = _NAME.search(script)
    if name is None or script_of(name[1].decode(), program) != script:
        raise VerificationError(f"{source}: its statements are not those of its program")
    return program


def statements_in(script: bytes) -> list[str]:
    """Return the statements of a script: each stands in lines of its own."""
    lines = script.decode().split("\n")[1:]
    return [line.removesuffix(";") for line in lines if line]


def _statements(name: str, program: Program, digest: str) -> Iterator[str]:
    yield f"CREATE DATABASE IF NOT EXISTS {DATABASE}"
    yield from map(creation, TABLES)
    yield (
        f"SELECT throwIf(count() > 0, 'a model {name} is there: main.py store load adds versions') "
        f"FROM {DATABASE}.models WHERE name = '{name}'"
    )
    layers = list({one.key: one for one in map(layer_of, program.operations)}.values())
    for table, columns in tables_of(layers).items():
        yield from _inserts(table, columns)
    of_operations = [layer_of(operation) for operation in program.operations]
    yield from _inserts("model_layers", layer_rows(name, 1, program, of_operations))
    if len(program.inputs) == 1:
        interface, code = compiled(program)
        yield from _inserts("modules", module_row(digest, interface, code))
        yield (
            "INSERT INTO system.webassembly_modules (name, code) SELECT module, code "
            f"FROM {DATABASE}.modules WHERE program = '{digest}' "
            "AND module NOT IN (SELECT name FROM system.webassembly_modules) LIMIT 1"
        )
        yield from functions_of(name, interface).values()
    yield from _inserts("models", model_row(name, 1, program, digest))
    yield from _inserts("releases", {"name": [name], "number": [1], "version": [1]})


def _inserts(table: str, columns: Mapping[str, list[Any]]) -> Iterator[str]:
    names = ", ".join(columns)
    rows = list(zip(*columns.values(), strict=True))
    for start in range(0, len(rows), _ROWS):
        values = ", ".join(
            f"({', '.join(map(literal, row))})" for row in rows[start : start + _ROWS]
        )
        yield f"INSERT INTO {DATABASE}.{table} ({names}) VALUES {values}"
