"""The learning rate during training: our schedules by the step, torch's by the epoch."""

import warnings
from typing import Any

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import ClassSpec
from experiments.training import lr_schedules
from experiments.training.lr_schedules import LrSchedule

_MAX_REHEARSED = 1000
_PATH = ("training", "lr_scheduler")


class LearningRate:
    """Sets the rate of every parameter group. A pure schedule multiplies the group's own base rate;
    one of torch's is stepped at the end of each epoch, with the target metric if it asks for it."""

    def __init__(self, optimizer: Optimizer, schedule: LrSchedule | LRScheduler) -> None:
        self._optimizer = optimizer
        self._schedule = schedule
        self._base = [float(group["lr"]) for group in optimizer.param_groups]

    @property
    def value(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def plateau_mode(self) -> str | None:
        """`min` or `max` if the schedule waits for the target metric to stop improving."""
        return self._schedule.mode if isinstance(self._schedule, ReduceLROnPlateau) else None

    def on_step(self, epoch: float, num_epochs: float) -> None:
        if isinstance(self._schedule, LrSchedule):
            multiplier = self._schedule(epoch, num_epochs)
            for group, base in zip(self._optimizer.param_groups, self._base, strict=True):
                group["lr"] = base * multiplier

    def on_epoch_end(self, target: float | None) -> None:
        if isinstance(self._schedule, ReduceLROnPlateau):
            if target is not None:
                self._schedule.step(target)
        elif isinstance(self._schedule, LRScheduler):
            self._schedule.step()

    def rehearse(self, num_epochs: int) -> None:
        """Go through a training, but for what follows its first 1000 epochs, on a throwaway: what a
        schedule refuses it refuses now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch misses the optimizer's steps
            for epoch in range(min(num_epochs, _MAX_REHEARSED)):
                self.on_step(float(epoch), float(num_epochs))
                self.on_epoch_end(1.0)

    def state_dict(self) -> dict[str, Any]:
        return self._schedule.state_dict() if isinstance(self._schedule, LRScheduler) else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if isinstance(self._schedule, LRScheduler):
            self._schedule.load_state_dict(state)


def schedule_of(config: ClassSpec, document: Document) -> LrSchedule | None:
    """Return the pure schedule that a configuration names, None if it is one of torch's."""
    factory = _factory(config, document)
    if not issubclass(factory, LrSchedule):
        return None
    schedule: LrSchedule = create(factory, config, document, _PATH)
    return schedule


def create_learning_rate(
    config: ClassSpec, document: Document, optimizer: Optimizer
) -> LearningRate:
    """Create the schedule that a configuration names. Raises UsageError for what does not fit."""
    factory = _factory(config, document)
    given = {"optimizer": optimizer} if issubclass(factory, LRScheduler) else {}
    return LearningRate(optimizer, create(factory, config, document, _PATH, given))


def _factory(config: ClassSpec, document: Document) -> type[Any]:
    bases = (LrSchedule, LRScheduler)
    return find_class(config, [lr_schedules, lr_scheduler], bases, document, _PATH)
