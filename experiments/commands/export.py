"""`main.py export`: the files that a run's network is deployed as."""

import os
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import Lowered, limits_of, lowered, restore
from experiments.deployment.artefacts import files_of, write
from experiments.deployment.cost import cost_on_board
from experiments.deployment.samples import raw_samples
from experiments.progress import console, show
from quantlab.deploy.c.vectors import to_text
from quantlab.deploy.table import artefacts_named, options_for
from quantlab.errors import UsageError


def run(invocation: Invocation) -> int:
    """Lower the network, write the files, say where they are."""
    names = artefacts_named(invocation.options.get("to"))
    given = _options(invocation)
    options_for(names, given)
    found = lowered(restore(invocation), limits_of(invocation))
    folder = found.restored.artefacts
    if invocation.has("vectors"):
        given["vectors"] = _vectors(found, invocation.number("vectors"))
    options = options_for(names, given)
    made = files_of(options, found.program)
    lines = cost_on_board(made, options)
    table = Table("artefact", "bytes", "file")
    for name, files in write(made, folder).items():
        table.add_row(name, f"{sum(path.stat().st_size for path in files):,}", _said(files, folder))
    show(table)
    for line in lines:
        console.print(line, markup=False)
    console.print(f"folder: {folder}", markup=False)
    return 0


def _options(invocation: Invocation) -> dict[str, str]:
    """Return the options of artefacts that are given."""
    found = {
        "encoding": invocation.options.get("encoding"),
        "ram": invocation.options.get("ram"),
        "flash": invocation.options.get("flash"),
        "vectors": invocation.options.get("vectors"),
        "board": invocation.options.get("board"),
        "intermittent": "yes" if invocation.has("intermittent") else None,
        "energy": invocation.options.get("energy"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _vectors(found: Lowered, count: int) -> str:
    """Return so many test samples as an option has them. Raises UsageError if there are fewer."""
    samples, _ = raw_samples(found.data.test, found.restored.library, count)
    if len(samples) < count:
        raise UsageError(f"--vectors: {count} given, 1 to {len(samples)} test samples allowed")
    (name,) = found.program.inputs
    return to_text({name: found.program.encode(name, samples.numpy())})


def _said(files: Sequence[Path], folder: Path) -> str:
    """Return the only file of an artefact, or the folder of several."""
    if len(files) == 1:
        return str(files[0].relative_to(folder))
    return f"{os.path.commonpath(files)[len(str(folder)) + 1 :]}/: {len(files)} files"
