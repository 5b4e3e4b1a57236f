"""`main.py test`: the metrics of a run's network on the test samples."""

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import Restored, restore
from experiments.deployment.packed import packed_network
from experiments.experiment.experiment import Experiment
from experiments.experiment.session import session_of
from experiments.progress import console, show
from experiments.runs.files import as_json
from quantlab.numerics.digest import weights_sha256


def run(invocation: Invocation) -> int:
    """Load a checkpoint, test it, print a table or JSON."""
    restored = restore(invocation)
    session = session_of(restored.config.experiment, invocation.options.get("dist"))
    experiment = Experiment(
        problem=restored.problem,
        library=restored.library,
        config=restored.config,
        document=restored.document,
        data=restored.data(session.communicator),
        session=session,
    )
    network, tested = restored.network, f"{restored.checkpoint}.ckpt"
    if invocation.has("pack"):
        sha256 = weights_sha256(network.state_dict())
        network = packed_network(restored.artefacts, sha256)
        tested = f"{restored.checkpoint}, its pack,"
    session.communicator.limit_waits()
    network, loss = network.to(session.device), restored.loss.to(session.device)
    metrics = experiment.test(network, loss, experiment.new_meter())
    if session.communicator.is_root:
        _print(invocation, restored, tested, metrics, experiment)
    session.communicator.close()
    return 0


def _print(
    invocation: Invocation,
    restored: Restored,
    tested: str,
    metrics: dict[str, float],
    experiment: Experiment,
) -> None:
    used, whole = len(experiment.test_samples), len(experiment.data.test)
    if invocation.has("json"):
        found = {
            "id": restored.folder.name,
            "checkpoint": restored.checkpoint,
            "is_pack": invocation.has("pack"),
            "data": experiment.data.source,
        }
        console.print_json(as_json({**found, "samples": used, "metrics": metrics}))
        return
    share = f"{used:,} of {whole:,} samples of " if used < whole else ""
    title = f"{restored.folder.name} {tested} on {share}{experiment.data.source}"
    table = Table("metric", "value", title=title)
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}")
    show(table)
