"""`main.py store`: the models of a database, in a folder of chDB."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Column, Table

from experiments.command_line import Invocation
from experiments.commands.restored import limits_of, lowered, restore
from experiments.deployment.database import opened, program_of_file, store_folder
from experiments.progress import console, show
from experiments.runs.files import as_json
from quantlab.deploy.clickhouse.store import Model, Store
from quantlab.integer.program import Program


def run(invocation: Invocation) -> int:
    """Do what the first word says, and print the versions that it is about."""
    action, *files = invocation.operands
    given = invocation.options.get("store")
    folder = store_folder() if given is None else Path(given)
    program = _program(invocation, files) if action == "load" else None
    with opened(folder, is_new=action == "load") as store:
        if program is not None:
            found: Sequence[Model] = [store.load(invocation.options["model"], program)]
        else:
            found = _found(store, action, invocation)
    if invocation.has("json"):
        console.print(as_json([asdict(model) for model in found], indent=2), markup=False)
        return 0
    show(_table(found))
    console.print(f"store: {folder}", markup=False, soft_wrap=True)
    return 0


def _program(invocation: Invocation, files: Sequence[str]) -> Program:
    """Return the program of a file, or that a run's network is lowered to."""
    if files:
        return program_of_file(Path(files[0]))
    return lowered(restore(invocation), limits_of(invocation)).program


def _found(store: Store, action: str, invocation: Invocation) -> Sequence[Model]:
    """List, roll back, calibrate or remove; return the versions that it is about."""
    name, version = invocation.options.get("model"), _version(invocation)
    match action, name:
        case "rollback", str():
            return [store.rollback(name, version)]
        case "calibrate", str():
            return [store.calibrate(name)]
        case "remove", str():
            return store.remove(name, version)
        case _, str():
            store.model(name)
            return [model for model in store.models() if model.name == name]
    return store.models()


def _version(invocation: Invocation) -> int | None:
    return invocation.number("version") if invocation.has("version") else None


def _table(found: Sequence[Model]) -> Table:
    table = Table(
        Column("model", no_wrap=True),
        *("version", "active", "layers", "bytes", "loaded", "ms", "ms/image", "program"),
    )
    for model in found:
        table.add_row(
            model.name,
            str(model.version),
            "yes" if model.is_active else "",
            str(model.num_layers),
            f"{model.num_bytes:,}",
            model.created,
            "" if model.fixed_ms is None else f"{model.fixed_ms:.2f}",
            "" if model.image_ms is None else f"{model.image_ms:.4f}",
            model.program[:16],
        )
    return table
