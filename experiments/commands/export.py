"""`main.py export`: the files that a run's network is deployed as."""

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import lowered, restore
from experiments.deployment.artefacts import write
from experiments.progress import console, show
from quantlab.deploy.table import artefacts_named


def run(invocation: Invocation) -> int:
    """Lower the network, write the files, say where they are."""
    names = artefacts_named(invocation.options.get("to"))
    found = lowered(restore(invocation))
    folder = found.restored.artefacts
    table = Table("artefact", "bytes", "file")
    for name in names:
        for path in write(name, found.program, folder):
            table.add_row(name, f"{path.stat().st_size:,}", str(path.relative_to(folder)))
    show(table)
    console.print(f"folder: {folder}", markup=False)
    return 0
