"""`clickhouse`: a model as a script of SQL, and the engines that run it in a database.

`clickhouse-wasm` and `clickhouse-relational` run in chDB, in this process. `clickhouse-legacy` runs
the relational queries on a server of any age: at QUANTLAB_CLICKHOUSE=host:port, 127.0.0.1:9000
where that is not set.
"""

import hashlib
import os
from pathlib import Path

from quantlab.deploy.artefact import Artefact, EngineSource, Files, Options, Parts, only_path, paths
from quantlab.deploy.clickhouse.store.script import program_in, read_script, script_of
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.file import tensor_hashes
from quantlab.integer.program import Program
from quantlab.integer.verify import Engine

FILE = "model.sql"
SERVER = "QUANTLAB_CLICKHOUSE"
_FOLDER = "clickhouse"
_PLACE = ("127.0.0.1", 9000)


def files(parts: Parts, options: Options) -> Files:
    """Return the script of each part, whose functions have the part's name."""
    found = {name: f"{_FOLDER}/{path}" for name, path in paths(parts, FILE).items()}
    return {path: script_of(name, parts[name]) for name, path in found.items()}


def check(found: bytes, expected: bytes, source: str) -> None:
    program, wanted = program_in(found, source), program_in(expected, source)
    given = tensor_hashes(program)
    for name, sha256 in tensor_hashes(wanted).items():
        if given.get(name) != sha256:
            raise VerificationError(
                f"{source}: tensor '{name}' is not that of the run's network: its SHA-256 is "
                f"{given.get(name, 'missing')[:16]}, {sha256[:16]} expected"
            )
    raise VerificationError(f"{source}: its statements are not those of the run's network")


def stored(parts: Parts, folder: Path) -> Program:
    """Return the program of a folder's script, whose statements are those of the program.

    Raises VerificationError.
    """
    path = folder / _FOLDER / only_path(parts, FILE)
    return read_script(path.read_bytes(), str(path))


def wasm(parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.clickhouse.engines import open_scratch
    from quantlab.deploy.clickhouse.store import Store
    from quantlab.deploy.clickhouse.store.engine import ModuleEngine

    program = stored(parts, folder)
    connection = open_scratch()
    store, name = Store(connection), _name(folder)
    store.load(name, program)
    return ModuleEngine(connection, name, store.interface(name))


def relational(parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.clickhouse.engines import open_scratch
    from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
    from quantlab.deploy.clickhouse.sql.dialect import MODERN

    return RelationalEngine(stored(parts, folder), open_scratch(), MODERN)


def legacy(parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.clickhouse.engines import connect_driver
    from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
    from quantlab.deploy.clickhouse.sql.dialect import LEGACY

    program = stored(parts, folder)
    return RelationalEngine(program, connect_driver(*server()), LEGACY)


def server() -> tuple[str, int]:
    """Return host and port of the server that the environment names. Raises UsageError."""
    given = os.environ.get(SERVER)
    if given is None:
        return _PLACE
    host, colon, port = given.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError(f"{SERVER}={given!r} given, host:port allowed, such as 127.0.0.1:9000")
    return host, int(port)


def _name(folder: Path) -> str:
    """Return a model's name for what lies in a folder: engines share a database."""
    return f"verified_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


CLICKHOUSE = Artefact(
    files=files,
    check=check,
    engines={
        "clickhouse-wasm": EngineSource(open=wasm, needs=("chdb",), by_default=False),
        "clickhouse-relational": EngineSource(open=relational, needs=("chdb",), by_default=False),
        "clickhouse-legacy": EngineSource(
            open=legacy, needs=("clickhouse_driver",), by_default=False
        ),
    },
    extra="clickhouse",
)
