"""Where models lie in ClickHouse, and integer programs computed there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from experiments import library
from quantlab.deploy.clickhouse.store import Store
from quantlab.errors import DataError, UsageError
from quantlab.integer.program import Program

_MODEL = "predicted"


def store_folder() -> Path:
    """Return the folder of the store on the storage of logs. Raises UsageError where
    `cfg/hard_folders.json` does not name one."""
    folders = library.HOME / "cfg" / "hard_folders.json"
    try:
        storage = Path(json.loads(folders.read_text(encoding="utf-8"))["logs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folders}: names no storage of logs; give --store=FOLDER") from error
    return library.HOME / storage / "QuantLab" / "clickhouse"


@contextmanager
def opened(folder: Path, *, is_new: bool) -> Iterator[Store]:
    """Open the store of a folder. is_new: whether it may be made. Raises DataError where there is
    none, UsageError while another process has it open."""
    from quantlab.deploy.clickhouse.engines import open_chdb

    if not is_new and not folder.is_dir():
        raise DataError(f"{folder}: no store is there; main.py store load makes it")
    with open_chdb(folder) as connection:
        yield Store(connection)


def program_of_file(path: Path) -> Program:
    """Return the program of a file that `export` wrote: a script of ClickHouse or a program's.

    Raises DataError for a file that cannot be read, VerificationError for one that is damaged.
    """
    from quantlab.deploy.clickhouse.store.script import read_script
    from quantlab.integer.file import from_bytes

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    read = read_script if path.suffix == ".sql" else from_bytes
    return read(data, str(path))


def outputs_in_database(program: Program, images: NDArray[Any]) -> NDArray[Any]:
    """Return the real numbers of a program's only output, `[N, ...]`, computed in ClickHouse.

    images: the integers of the only input. Raises UsageError for several of either.
    """
    from quantlab.deploy.clickhouse.engines import open_scratch
    from quantlab.deploy.clickhouse.store.engine import ModuleEngine

    if len(program.outputs) != 1:
        outputs = ", ".join(program.outputs)
        raise UsageError(f"--backend=clickhouse: outputs {outputs} given, one allowed")
    (output,) = program.outputs
    with open_scratch() as connection:
        store = Store(connection)
        store.load(_MODEL, program)
        engine = ModuleEngine(connection, _MODEL, store.interface(_MODEL))
        (integers,) = engine.outputs(images)
    return program.reals[output](integers) if output in program.reals else integers
