"""`main.py resume`: go on with a run that was killed or interrupted, or make one longer."""

from experiments.command_line import Invocation
from experiments.commands.stored import StoredRun, stored_run
from experiments.configuration.documents import Document
from experiments.configuration.overrides import Override, apply_overrides
from experiments.configuration.section import validate
from experiments.experiment.conduct import Resumption, conduct, prepare
from experiments.experiment.config import Config, without_pretrained
from experiments.experiment.prolonging import check_longer, differences, lengths
from experiments.processes.launcher import launched_rank
from experiments.progress import console
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder
from experiments.training.config import ExperimentConfig


def run(invocation: Invocation) -> int:
    """Read the run's own configuration and go on from its last good checkpoint."""
    stored = stored_run(invocation)
    folder, record = stored.folder, stored.record
    document = _lengthened(stored, invocation)
    whole = validate(Config, document)
    before = validate(ExperimentConfig, Document(values=record["config"]["experiment"]))
    is_longer = bool(document.texts) and bool(lengths(before, whole.experiment))
    if record["status"] == "done" and not is_longer:
        if launched_rank() == 0:
            console.print(f"{folder.name} is done; nothing to resume", markup=False)
        return 0
    if is_longer:
        check_longer(folder.name, before, whole.experiment)
    num_done = 0 if is_longer else len(record["folds"])
    config = without_pretrained(whole) if _has_weights(folder, before, num_done) else whole
    experiment = prepare(
        stored.problem,
        stored.library,
        document,
        config,
        invocation.options.get("dist"),
        is_quick=stored.is_quick,
    )
    notes = differences(experiment, folder, before, len(record["folds"])) if is_longer else ()
    for note in list(notes):
        experiment.session.say(f"note: {note}")
    longer = whole if is_longer else None
    return conduct(experiment, Resumption(folder=folder, changes=stored.changes, longer=longer))


def _lengthened(stored: StoredRun, invocation: Invocation) -> Document:
    """Return the run's configuration with the length that is asked for, if any is."""
    asked = {
        "epochs": invocation.options.get("experiment.epochs"),
        "max_steps": invocation.options.get("experiment.max_steps"),
    }
    overrides = [
        Override(path=("experiment", name), text=text)
        for name, text in asked.items()
        if text is not None
    ]
    return apply_overrides(stored.document, overrides)


def _has_weights(folder: RunFolder, config: ExperimentConfig, num_done: int) -> bool:
    """Return whether a resumed run does without the weights from which it began."""
    saves = [Checkpoints(folder.fold(fold) / "saves") for fold in range(num_done, config.folds)]
    return all(checkpoints.has(LAST) for checkpoints in saves)
