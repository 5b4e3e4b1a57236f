"""`main.py export`: the files that a run's network is deployed as."""

from rich.table import Table

from experiments.artefacts import write
from experiments.command_line import Invocation
from experiments.commands.conduct import load_data
from experiments.commands.restored import restore
from experiments.deployment import program_of
from experiments.progress import console
from experiments.session import local_session
from quantlab.deploy.table import artefacts_named


def run(invocation: Invocation) -> int:
    """Lower the network, write the files, say where they are."""
    names = artefacts_named(invocation.options.get("to"))
    restored = restore(invocation)
    data = load_data(restored.problem, restored.config, local_session())
    program = program_of(restored.network, restored.library, data)
    table = Table("artefact", "bytes", "file")
    for name in names:
        for path in write(name, program, restored.artefacts):
            table.add_row(name, f"{path.stat().st_size:,}", str(path))
    console.print(table)
    return 0
