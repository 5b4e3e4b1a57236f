"""`main.py resume`: go on with a run that was killed or interrupted."""

from typing import Any

from experiments.command_line import Invocation
from experiments.configuration.documents import Document, read_document
from experiments.configuration.section import validate
from experiments.experiment.conduct import conduct, prepare
from experiments.experiment.config import Config, without_pretrained
from experiments.library import Library, Problem, load_library, load_problem
from experiments.processes.launcher import launched_rank
from experiments.progress import console
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder, open_run
from quantlab.errors import UsageError


def run(invocation: Invocation) -> int:
    """Read the run's own configuration and go on from its last good checkpoint."""
    problem, library, folder, document = stored_run(invocation)
    record = folder.record()
    if record["status"] == "done":
        if launched_rank() == 0:
            console.print(f"{folder.name} is done; nothing to resume", markup=False)
        return 0
    config = validate(Config, document)
    if _has_weights(folder, record):
        config = without_pretrained(config)
    experiment = prepare(problem, library, document, config, invocation.options.get("dist"))
    return conduct(experiment, exp_id=folder.exp_id)


def _has_weights(folder: RunFolder, record: dict[str, Any]) -> bool:
    """Return whether a resumed run does without the weights from which it began."""
    is_last_fold = len(record["folds"]) + 1 >= record["config"]["experiment"]["folds"]
    return is_last_fold and Checkpoints(folder.fold(len(record["folds"])) / "saves").has(LAST)


def stored_run(invocation: Invocation) -> tuple[Problem, Library, RunFolder, Document]:
    """Return what a run was made of. Raises UsageError for a run that does not exist, or is not of
    the topology given."""
    problem = load_problem(invocation.options["problem"])
    folder = open_run(problem.name, problem.logs_folder, invocation.number("exp_id"))
    topology = folder.record()["topology"]
    asked = invocation.options.get("topology", topology)
    library = load_library(problem.name, asked)
    if asked != topology:
        raise UsageError(f"--topology={asked}: {folder.name} is a run of {topology}")
    return problem, library, folder, read_document(folder.config_file)
