"""The steps of a training that are all alike, recorded once and replayed.

A step is recorded in two parts with the sum over the processes between them: the batch, its
augmentation, forward, loss and backward; then clipping, the optimizer and the averages. Steps run
as usual until a few in a row have left everything in its place that a recording takes for granted
(see `watch.py`), and again whenever something has moved.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from experiments.data.feed import Feed
from experiments.data.loader import Loader
from experiments.data.piece import Piece
from experiments.training.capture.account import Account
from experiments.training.capture.graphs import Graphs
from experiments.training.capture.watch import Watch
from experiments.training.random_state import processor_draws
from experiments.training.step import Outcome, Step
from quantlab.errors import UsageError
from quantlab.quantizer import Quantizer

_FIRST = 3  # steps that run as usual before a recording
_MOST_CHANGES = 20  # in a row, in an epoch
_USUAL = "before a recording"
T = TypeVar("T")


class CapturedSteps:
    """Replays steps.

    network: that full batches go through. why_no_update: why the update runs as usual, None if
    it is recorded too. is_required: raise UsageError where steps cannot be captured.
    has_step_hooks: something acts on the network between the steps of an epoch. settle: waits for
    what runs beside the training and uses the GPU.
    """

    def __init__(
        self,
        *,
        graphs: Graphs,
        step: Step,
        network: nn.Module,
        loader: Loader,
        why_no_update: str | None,
        is_required: bool,
        has_step_hooks: bool,
        account: Account,
        settle: Callable[[], None],
    ) -> None:
        self._settle = settle
        self._graphs, self._step, self._loader, self._network = graphs, step, loader, network
        self._records_update = why_no_update is None
        self._is_required, self._has_step_hooks = is_required, has_step_hooks
        self._account = account
        self._watch = Watch(step.assembly)
        self._num_alike = self._num_changes = 0
        self._why_never: str | None = None
        self._why_not_now: str | None = None
        self._must_look = self._is_first = True
        self._is_last_before = False
        self._feed: Feed | None = None
        self._batches: dict[bool, tuple[Outcome, Callable[[], None]]] = {}
        self._update: Callable[[], None] | None = None
        self._gradients: list[Tensor | None] = []

    def begin_epoch(self) -> None:
        """To be called when controllers, a validation or a checkpoint may have changed anything."""
        self._must_look, self._why_not_now = True, None

    def begin_step(self, obstacle: str | None) -> bool:
        """Return whether the coming step is replayed, or recorded and replayed.

        obstacle: what else is in the way. Raises UsageError if capturing is required and cannot be.
        """
        self._is_first = True
        refusal = self._why_never or self._why_not_now
        reason = obstacle or (f"as {refusal}" if refusal else self._unlike())
        self._is_last_before = reason == _USUAL and self._num_alike == _FIRST - 1
        if reason is not None:
            self._account.add(reason)
        return reason is None

    @contextmanager
    def running_as_usual(self, *, is_update: bool = False) -> Iterator[None]:
        """Around a part of a step that is not replayed: looks whether it could be recorded."""
        is_recorded = self._records_update or not is_update
        if not self._is_last_before or not is_recorded:
            yield
            return
        device = self._step.parameters[0].device
        before = processor_draws(device)
        self._settle()  # what another thread waits for would count as the step's
        with self._graphs.waits() as places:
            yield
        if places:
            self._give_up(f"the step waits for the GPU in {places[0]}")
        elif processor_draws(device) != before:
            self._give_up("the step draws random numbers on the CPU")

    def backward(self, piece: Piece) -> Outcome | None:
        """Add the gradients of a batch to those of the step; None if that could not be recorded."""
        feed = self._feed = self._feed or self._loader.feed(piece)
        feed.fill(piece)
        is_first, self._is_first = self._is_first, piece.slice.is_last
        if is_first not in self._batches:
            recorded = self._record(lambda: self._run(feed, piece.slice.weight), is_first=is_first)
            if recorded is None:
                self._account.add(f"as {self._why_never}")
                return None
            self._batches[is_first] = recorded
        outcome, replay = self._batches[is_first]
        replay()
        for parameter, gradient in zip(self._step.parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return outcome.copied()

    def update(self) -> None:
        """Let the optimizer step, and the averages follow."""
        if self._update is None and self._records_update and self._why_never is None:
            recorded = self._record(self._step.update)
            self._update = None if recorded is None else recorded[1]
        if self._update is None:
            self._step.update()
        else:
            self._update()
        self._account.add(f"as {self._why_never}" if self._why_never else None)

    def _run(self, feed: Feed, weight: float) -> Outcome:
        inputs, targets = feed.read()
        return self._step.backward(self._network, inputs, targets, weight)

    def _record(
        self, work: Callable[[], T], *, is_first: bool = False
    ) -> tuple[T, Callable[[], None]] | None:
        """Record a part of a step. is_first: of the parts that add to the gradients."""
        parameters = self._step.parameters
        if is_first:
            self._drop_gradients()  # so that backward makes new ones, whose addresses stay
        self._settle()
        try:
            recorded = self._graphs.record(work, self._generators())
        except RuntimeError as error:
            if is_first:
                self._drop_gradients()  # that were recorded, and never computed
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self._give_up(f"the step cannot be recorded: {reason}")
            return None
        if is_first:
            self._gradients = [parameter.grad for parameter in parameters]
        return recorded

    def _drop_gradients(self) -> None:
        for parameter in self._step.parameters:
            parameter.grad = None

    def _generators(self) -> list[torch.Generator]:
        """Return what quantizers draw from."""
        found = [m.generator for m in self._network.modules() if isinstance(m, Quantizer)]
        return [generator for generator in found if generator is not None]

    def _unlike(self) -> str | None:
        """Return why the coming step cannot be replayed yet, None if it can."""
        if self._must_look or self._has_step_hooks or not self._batches:
            self._must_look = False
            changed = self._watch.look()
            if changed is None:
                self._num_alike += 1
            else:
                self._forget()
                self._num_changes += 1
                if self._num_changes > _MOST_CHANGES:
                    self._why_not_now = f"{changed} changes at every step"
                    self._refuse(self._why_not_now)
                    return f"as {self._why_not_now}"
        if self._num_alike < _FIRST:
            return _USUAL
        self._num_changes = 0
        return None

    def _forget(self) -> None:
        """Drop what was recorded."""
        self._num_alike = 0
        self._batches, self._update, self._gradients = {}, None, []

    def _give_up(self, reason: str) -> None:
        """Let all steps run as usual from now on."""
        self._refuse(reason)
        self._forget()
        self._why_never = reason

    def _refuse(self, reason: str) -> None:
        if self._is_required:
            raise UsageError(f"training.capture: always given, but {reason}; auto or never allowed")
