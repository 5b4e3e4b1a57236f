"""`main.py resume`: go on with a run that was killed or interrupted, or make one longer."""

from experiments.command_line import Invocation
from experiments.commands.stored import find_run, stored_run
from experiments.configuration.documents import Document
from experiments.configuration.overrides import Override, apply_overrides
from experiments.configuration.section import validate
from experiments.experiment.beginning import shared_original
from experiments.experiment.conduct import Resumption, conduct, prepare
from experiments.experiment.config import Config, without_pretrained
from experiments.experiment.distillation import check_same
from experiments.experiment.experiment import Experiment
from experiments.experiment.prolonging import check_longer, differences, lengths
from experiments.processes.launcher import launched_rank
from experiments.progress import console
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder, is_compression
from experiments.training.config import ExperimentConfig
from experiments.training.training_state import check_fits


def run(invocation: Invocation) -> int:
    """Read the run's own configuration and go on from its last good checkpoint."""
    folder, record = find_run(invocation)
    if is_compression(record):
        from experiments.commands.compress import go_on

        return go_on(invocation, folder, record["status"])
    asked = _asked(invocation)
    if record["status"] == "done" and not asked:
        return _say_done(folder)
    stored = stored_run(invocation)
    document = apply_overrides(stored.document, asked)
    whole = validate(Config, document)
    before = validate(ExperimentConfig, Document(values=record["config"]["experiment"]))
    is_longer = bool(asked) and bool(lengths(before, whole.experiment))
    if record["status"] == "done" and not is_longer:
        return _say_done(folder)
    if is_longer:
        check_longer(folder.name, before, whole.experiment)
    num_done = 0 if is_longer else len(record["folds"])
    has_begun = _has_weights(folder, before, num_done)
    config = without_pretrained(whole) if has_begun else whole
    experiment = prepare(
        stored.problem,
        stored.library,
        document,
        config,
        invocation.options.get("dist"),
        is_quick=stored.is_quick,
    )
    if not has_begun:
        check_same(shared_original(experiment), record, folder.name)
    check_same(experiment.teacher, record, folder.name)
    if stored.changes:
        _check_fits(experiment, folder, num_done)
    notes = differences(experiment, folder, before, len(record["folds"])) if is_longer else ()
    resumption = Resumption(
        folder=folder, changes=stored.changes, longer=whole if is_longer else None
    )
    return conduct(experiment, resumption, [f"note: {note}" for note in notes])


def _check_fits(experiment: Experiment, folder: RunFolder, num_done: int) -> None:
    """Raise UsageError unless changed code can go on from the checkpoints, before the run is
    touched."""
    for fold in range(num_done, experiment.config.experiment.folds):
        saves = Checkpoints(folder.fold(fold) / "saves")
        if saves.has(LAST):
            state = saves.load(LAST, lambda _: None)
            check_fits(experiment.assemble(fold), state, f"{folder.name}, {LAST}.ckpt")


def _asked(invocation: Invocation) -> list[Override]:
    """Return the length that the command line gives, if it does."""
    texts = {
        "epochs": invocation.options.get("experiment.epochs"),
        "max_steps": invocation.options.get("experiment.max_steps"),
    }
    return [
        Override(path=("experiment", name), text=text)
        for name, text in texts.items()
        if text is not None
    ]


def _say_done(folder: RunFolder) -> int:
    if launched_rank() == 0:
        console.print(f"{folder.name} is done; nothing to resume", markup=False)
    return 0


def _has_weights(folder: RunFolder, config: ExperimentConfig, num_done: int) -> bool:
    """Return whether all folds that go on have weights of their own, whatever they began with."""
    saves = [Checkpoints(folder.fold(fold) / "saves") for fold in range(num_done, config.folds)]
    return all(checkpoints.has(LAST) for checkpoints in saves)
