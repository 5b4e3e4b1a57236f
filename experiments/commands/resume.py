"""`main.py resume`: go on with a run that was killed or interrupted."""

from collections.abc import Mapping
from typing import Any

from experiments.command_line import Invocation
from experiments.commands.stored import stored_run
from experiments.configuration.section import validate
from experiments.experiment.conduct import Resumption, conduct, prepare
from experiments.experiment.config import Config, without_pretrained
from experiments.processes.launcher import launched_rank
from experiments.progress import console
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder


def run(invocation: Invocation) -> int:
    """Read the run's own configuration and go on from its last good checkpoint."""
    stored = stored_run(invocation)
    folder, record = stored.folder, stored.record
    if record["status"] == "done":
        if launched_rank() == 0:
            console.print(f"{folder.name} is done; nothing to resume", markup=False)
        return 0
    config = validate(Config, stored.document)
    if _has_weights(folder, record):
        config = without_pretrained(config)
    experiment = prepare(
        stored.problem, stored.library, stored.document, config, invocation.options.get("dist")
    )
    return conduct(experiment, Resumption(folder=folder, changes=stored.changes))


def _has_weights(folder: RunFolder, record: Mapping[str, Any]) -> bool:
    """Return whether a resumed run does without the weights from which it began."""
    is_last_fold = len(record["folds"]) + 1 >= record["config"]["experiment"]["folds"]
    return is_last_fold and Checkpoints(folder.fold(len(record["folds"])) / "saves").has(LAST)
