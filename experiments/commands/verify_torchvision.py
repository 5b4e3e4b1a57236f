"""`main.py verify --torchvision=NAME`: the proof for a network of torchvision's, without a run."""

from pathlib import Path
from tempfile import TemporaryDirectory

from experiments.command_line import Invocation
from experiments.commands.comparisons import compared, print_table
from experiments.commands.restored import limits_of
from experiments.deployment.artefacts import engines_of
from experiments.deployment.torchvision_networks import calibrated
from experiments.progress import console
from quantlab.deploy.table import engines_named

_NUM_PHOTOS, _BATCH_SIZE = 8, 2


def verify_torchvision(invocation: Invocation) -> int:
    """Calibrate and lower the network, run every engine on photos."""
    backends = engines_named(invocation.options.get("backends"))
    count = invocation.number("samples") if invocation.has("samples") else _NUM_PHOTOS
    name, folder = invocation.options["torchvision"], Path(invocation.options["images"])
    found = calibrated(name, folder, count, limits_of(invocation))
    with TemporaryDirectory() as artefacts:
        running = engines_of(backends, found.program, Path(artefacts))
        comparisons = compared(found.program, running, found.photos, _BATCH_SIZE)
    print_table(comparisons)
    console.print(f"{name}: {len(found.program.operations)} operations", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0
