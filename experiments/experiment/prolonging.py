"""A run that is made longer: whether it can be, and what then differs from one that was asked to be
so long at its start."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.experiment.experiment import Experiment
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder
from experiments.training.config import ExperimentConfig
from experiments.training.learning_rate import schedule_of
from experiments.training.training_state import Position
from quantlab.errors import UsageError

LENGTHS = ("epochs", "max_steps")


def lengths(before: ExperimentConfig, after: ExperimentConfig) -> dict[str, list[int | None]]:
    """Return what of a run's length changes, by dotted name: before and after."""
    pairs = {name: [getattr(before, name), getattr(after, name)] for name in LENGTHS}
    return {f"experiment.{name}": pair for name, pair in pairs.items() if pair[0] != pair[1]}


def check_longer(run: str, before: ExperimentConfig, after: ExperimentConfig) -> None:
    """Raise UsageError for a length that is not longer."""
    for name, (old, new) in lengths(before, after).items():
        if old is None:
            raise UsageError(f"--{name}={new}: {run} has none, which does not end it; see epochs")
        if new is None or new < old:
            raise UsageError(f"--{name}={new}: {run} has {old}; more allowed")


def differences(
    experiment: Experiment, folder: RunFolder, before: ExperimentConfig, num_done: int
) -> Iterator[str]:
    """Yield a line for each way in which the longer run differs from one that was so long from the
    start.

    before: how long the run was, as the first `num_done` folds have been trained. Raises UsageError
    if it cannot go on, or would not be longer.
    """
    after = experiment.config.experiment
    per_epoch = experiment.num_steps_per_epoch
    (name, (_, asked)), *_ = lengths(before, after).items()
    if after.num_steps(per_epoch) == before.num_steps(per_epoch):
        limit = f"{before.num_steps(per_epoch)} steps by experiment.max_steps"
        raise UsageError(f"--{name}={asked}: {folder.name} ends after {limit}")
    states = list(_states(folder, before.folds, num_done))
    ends = [_end(state, after) for state in states]
    if states and all(ends):
        epoch = max(state["position"]["epoch"] for state in states)
        raise UsageError(
            f"--{name}={asked}: {folder.name} ended after {epoch} epochs by experiment.{ends[0]}"
        )
    positions = [Position(**state["position"]) for state in states]
    yield from _cut_epochs(positions, per_epoch)
    schedule = schedule_of(experiment.config.training.lr_scheduler, experiment.document)
    steps = max((position.step for position in positions), default=0)
    old, new = before.num_steps(per_epoch) / per_epoch, after.num_steps(per_epoch) / per_epoch
    if schedule is not None and any(
        schedule(step / per_epoch, old) != schedule(step / per_epoch, new) for step in range(steps)
    ):
        yield (
            f"{type(schedule).__name__} followed {old:.4g} epochs until now: the weights are not "
            f"those of a run of {new:.4g}"
        )


def _states(folder: RunFolder, folds: int, num_done: int) -> Iterator[Mapping[str, Any]]:
    """Yield the last checkpoint of each fold; those that are done must have one."""
    for fold in range(folds):
        saves = Checkpoints(folder.fold(fold) / "saves")
        if fold < num_done or saves.has(LAST):
            yield saves.load(LAST, lambda _: None)


def _end(state: Mapping[str, Any], config: ExperimentConfig) -> str | None:
    """Return the key that ends a fold which is finished where it is, None if it goes on."""
    position, stop = Position(**state["position"]), config.early_stop
    if not position.is_finished:
        return None
    if position.epoch >= config.epochs:
        return "epochs"
    if config.max_steps is not None and position.step >= config.max_steps:
        return "max_steps"
    is_stale = stop is not None and state["best"]["num_stale"] >= stop.patience
    return "early_stop" if is_stale else None


def _cut_epochs(positions: Sequence[Position], per_epoch: int) -> Iterator[str]:
    for position in positions:
        missing = position.epoch * per_epoch - position.step
        if position.is_finished and missing > 0:
            yield (
                f"experiment.max_steps ended epoch {position.epoch} after {per_epoch - missing} of "
                f"{per_epoch} steps: the longer run goes on with epoch {position.epoch + 1}"
            )
            return
