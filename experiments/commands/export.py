"""`main.py export`: the files that a run's network is deployed as."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import limits_of, lowered, restore
from experiments.deployment.artefacts import write
from experiments.progress import console, show
from quantlab.deploy.table import artefacts_named


def run(invocation: Invocation) -> int:
    """Lower the network, write the files, say where they are."""
    names = artefacts_named(invocation.options.get("to"))
    found = lowered(restore(invocation), limits_of(invocation))
    folder = found.restored.artefacts
    table = Table("artefact", "bytes", "file")
    for name in names:
        files = write(name, found.program, folder)
        table.add_row(name, f"{sum(path.stat().st_size for path in files):,}", _said(files, folder))
    show(table)
    console.print(f"folder: {folder}", markup=False)
    return 0


def _said(files: Sequence[Path], folder: Path) -> str:
    """Return the only file of an artefact, or the folder of several."""
    if len(files) == 1:
        return str(files[0].relative_to(folder))
    return f"{os.path.commonpath(files)[len(str(folder)) + 1 :]}/: {len(files)} files"
