"""Modules and functions in a database: made where they are missing or not as they should be."""

import re
from collections.abc import Callable, Mapping

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store.described import module_row
from quantlab.deploy.clickhouse.store.modules import (
    Interface,
    compiled,
    from_text,
    functions_of,
)
from quantlab.deploy.clickhouse.store.query import delete, one, rows
from quantlab.deploy.clickhouse.store.tables import DATABASE
from quantlab.integer.program import Program

_MODULES = f"{DATABASE}.modules"
_FUNCTIONS = (
    "SELECT name, create_query FROM system.functions "
    "WHERE origin != 'System' AND startsWith(name, {prefix:String})"
)
_MODULE = f"SELECT interface FROM {_MODULES} WHERE program = {{program:String}}"
_CODE = f"SELECT code FROM {_MODULES} WHERE program = {{program:String}}"
_REGISTERED = "SELECT count() AS n FROM system.webassembly_modules WHERE name = {module:String}"
_UNUSED = (
    "SELECT name FROM system.webassembly_modules WHERE startsWith(name, 'quantlab_') "
    f"AND name NOT IN (SELECT module FROM {_MODULES})"
)


def own_functions(connection: Connection, model: str) -> Mapping[str, str]:
    """Return the functions that are there under a model's names, with the statements that made
    them."""
    found = rows(connection, _FUNCTIONS, {"prefix": f"{model}_"})
    pattern = re.compile(rf"{model}_(tensor|class|scores(_\d+)?)")
    return {name: statement for name, statement in found if pattern.fullmatch(name)}


def interface_in(
    connection: Connection, digest: str, program: Callable[[], Program], source: str
) -> Interface:
    """Return how the module of a program is called, which is compiled unless it is there as it was
    stored. digest: of the program's file. source: the model, for errors."""
    key = {"program": digest}
    try:
        code: bytes = connection.execute(_CODE, key)["code"][0]
        ((text,),) = rows(connection, _MODULE, key)
        interface = from_text(text, code, source)
    except (IndexError, ValueError):
        interface, code = compiled(program())
        store_module(connection, digest, interface, code)
    if one(connection, _REGISTERED, {"module": interface.module}) == 0:
        connection.insert(
            "system.webassembly_modules", {"name": [interface.module], "code": [code]}
        )
    return interface


def store_module(connection: Connection, digest: str, interface: Interface, code: bytes) -> None:
    """Store a program's module in place of the one that is there."""
    delete(connection, _MODULES, "program = {program:String}", {"program": digest})
    connection.insert(_MODULES, module_row(digest, interface, code))


def align(connection: Connection, model: str, interface: Interface) -> None:
    """Have the functions of a model call a module. The one that calls it is made last: where it is
    right, the others are."""
    wanted, there = functions_of(model, interface), own_functions(connection, model)
    tensor = f"{model}_tensor"
    if interface.sha256 in there.get(tensor, "") and set(there) == set(wanted):
        return
    for name in set(there) - set(wanted):
        connection.execute(f"DROP FUNCTION IF EXISTS {name}")
    for name in sorted(wanted, key=lambda name: name == tensor):
        connection.execute(wanted[name])


def drop(connection: Connection, model: str) -> None:
    """Drop the functions of a model."""
    for name in own_functions(connection, model):
        connection.execute(f"DROP FUNCTION IF EXISTS {name}")


def sweep(connection: Connection) -> None:
    """Remove the modules of programs that no model has."""
    delete(connection, _MODULES, f"program NOT IN (SELECT program FROM {DATABASE}.models)")
    for (name,) in rows(connection, _UNUSED):
        connection.execute(
            "DELETE FROM system.webassembly_modules WHERE name = {name:String}", {"name": name}
        )
