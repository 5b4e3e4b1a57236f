"""The training of one fold: steps, epochs, checkpoints, and going on after a kill."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from experiments.data.draws import derive_seed
from experiments.data.loader import Loader
from experiments.data.piece import Piece
from experiments.processes.communicator import Communicator
from experiments.progress import Steps
from experiments.protocols import Meter
from experiments.runs.background import Background, frozen, to_cpu
from experiments.runs.checkpoints import BEST, LAST, Checkpoints
from experiments.runs.config import CheckpointConfig
from experiments.runs.logbook import Logbook
from experiments.training.assembly import Assembly
from experiments.training.batch_norm import average_running_statistics
from experiments.training.capture.graphs import Graphs
from experiments.training.config import ExperimentConfig, TrainingConfig
from experiments.training.early_stopping import BestEpoch
from experiments.training.epoch_line import epoch_line
from experiments.training.evaluation import evaluate, merge
from experiments.training.interruption import Interrupted, Interruption
from experiments.training.loss_curve import LossCurve
from experiments.training.monitoring import Monitoring
from experiments.training.precision import Precision
from experiments.training.random_state import seed_everything
from experiments.training.stepper import Stepper
from experiments.training.train_metrics import TrainMetrics
from experiments.training.training_state import Position, TrainingState
from quantlab.algorithms.unused import unused_quantizers
from quantlab.controller import Context, listening
from quantlab.errors import DivergedError
from quantlab.quantizer import Quantizer


@dataclass(kw_only=True)
class Trainer:
    """Trains `assembly` on `train`; `valid` decides about the best epoch, if there is one.

    All ranks run it in step. Rank 0 alone has a logbook, writes checkpoints and prints.
    graphs: what records steps on the device, None where nothing can.
    """

    assembly: Assembly
    experiment: ExperimentConfig
    training: TrainingConfig
    checkpoint: CheckpointConfig
    train: Loader
    valid: Loader | None
    new_meter: Callable[[], Meter]
    postprocess: Callable[[Tensor], Tensor]
    precision: Precision
    communicator: Communicator
    device: torch.device
    checkpoints: Checkpoints
    logbook: Logbook | None
    seed: int
    say: Callable[[str], None]
    graphs: Graphs | None = None
    identity: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        experiment = self.experiment
        self._network = self.assembly.network
        self._quantizers = [q for q in self._network.modules() if isinstance(q, Quantizer)]
        self._metrics = TrainMetrics(self.new_meter())
        direction = self._metrics.meter.directions[experiment.target]
        min_delta = experiment.early_stop.min_delta if experiment.early_stop else 0.0
        self.best = BestEpoch(direction, min_delta)
        self._state = TrainingState(
            assembly=self.assembly,
            scaler=self.precision.scaler,
            metrics=self._metrics,
            best=self.best,
            generator=torch.Generator().manual_seed(derive_seed(self.seed, "controllers")),
            communicator=self.communicator,
            device=self.device,
        )
        self._on_step_start = listening(self.assembly.controllers, "on_step_start")
        self._on_step_end = listening(self.assembly.controllers, "on_step_end")
        self._monitoring: Monitoring | None = None
        if self.assembly.monitor is not None:
            self._monitoring = Monitoring(
                self.assembly.monitor, self.precision.scaler, self.logbook
            )
            self._on_step_start.append(self._monitoring)
            self._on_step_end.insert(0, self._monitoring)
        self._losses = LossCurve(experiment.log_every_steps, self.device)
        self._background = Background()
        self._steps = Stepper(
            assembly=self.assembly,
            training=self.training,
            precision=self.precision,
            postprocess=self.postprocess,
            loader=self.train,
            communicator=self.communicator,
            device=self.device,
            graphs=self.graphs,
            has_step_hooks=bool(self._on_step_start or self._on_step_end),
            settle=self._background.wait,
        )
        self._unsaved_best: dict[str, Any] | None = None
        self._has_stepped = False
        self._saved_at = -math.inf
        seed_everything(derive_seed(self.seed, "rank", self.communicator.rank))

    @property
    def position(self) -> Position:
        return self._state.position

    @property
    def captured(self) -> str:
        """How many steps were captured, and why the others were not."""
        return str(self._steps.account)

    @property
    def seconds(self) -> float:
        """How long training took so far, breaks left out."""
        clock = self._state.clock
        return clock.done if self.position.is_finished else clock.done + clock.epoch

    def rewind(self) -> None:
        """Begin with epoch 0 again, from the weights as they are."""
        self._state.position = Position()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._state.restore(state)
        self._steps.take_state()
        if self.position.is_finished:
            self.position.is_finished = self._is_done()  # not if the run is longer now
        if self.logbook is not None:
            self.logbook.cut(state["logbook"])

    def fit(self) -> bool:
        """Train to the end; return False if it was interrupted, even at the end. The loaders are
        closed."""
        try:
            return self._fit()
        finally:
            for loader in (self.train, self.valid):
                if loader is not None:
                    loader.close()

    def _fit(self) -> bool:
        total = self.experiment.num_steps(self.train.plan.num_steps)
        with (
            Interruption(self.communicator) as interruption,
            Steps(total, self.position.step, is_shown=self.logbook is not None) as progress,
        ):
            try:
                while not self.position.is_finished:
                    self._train_epoch(interruption, progress)
                    self._end_epoch(interruption, progress)
            except Interrupted:
                self._background.wait()
                return False
            except DivergedError:
                self._background.wait()  # the last finite state is what resuming begins with
                raise
            self._background.wait()
            interruption.expect_new_pace()
            return not interruption.is_due()

    def _train_epoch(self, interruption: Interruption, progress: Steps) -> None:
        """Run the rest of the current epoch."""
        position, plan = self.position, self.train.plan
        max_steps = self.experiment.max_steps or math.inf
        every_steps = self.checkpoint.every_steps
        self._network.train()
        if position.samples == 0:
            self._metrics.reset()
        context = self._context()
        for controller in listening(self.assembly.controllers, "on_epoch_start"):
            controller.on_epoch_start(context)
        self._steps.begin_epoch()
        name = f"epoch {position.epoch + 1}/{self.experiment.epochs}"
        interruption.expect_new_pace()
        is_new_step = True
        # Rounded up: the last step of an epoch may be partial.
        first_step = -(-position.samples // plan.samples_per_step)
        for piece in self.train.pieces(position.epoch, first_step=first_step):
            place = piece.slice
            if is_new_step:
                if position.step >= max_steps:
                    break
                self._start_step(place.step)
            self._backward(piece)
            is_new_step = place.is_last
            if not place.is_last:
                continue
            self._finish_step(place.step)
            if not self._has_stepped:
                self._tell_unused()
            progress.advance(position.step, name)
            if interruption.is_due():
                self._save([LAST])
                raise Interrupted
            is_epoch_end = place.step + 1 == plan.num_steps
            if every_steps and position.step % every_steps == 0 and not is_epoch_end:
                self._save([LAST])

    def _start_step(self, step: int) -> None:
        epoch = self.position.epoch + step / self.train.plan.num_steps
        self.assembly.learning_rate.on_step(epoch, self._num_epochs)
        self.assembly.optimizer.zero_grad(set_to_none=True)
        self._losses.start_step()
        if self._on_step_start:
            context = self._context()
            for controller in self._on_step_start:
                controller.on_step_start(context)
        monitoring = self._monitoring
        self._steps.begin(step, is_measured=monitoring is not None and monitoring.is_measuring)

    def _backward(self, piece: Piece) -> None:
        outcome = self._steps.backward(piece)
        if outcome is not None:
            self._losses.add(outcome.share)
            self._metrics.add(outcome.predictions, outcome.targets, outcome.loss)

    def _finish_step(self, step: int) -> None:
        position = self.position
        self._steps.finish()
        position.step += 1
        position.samples = min(
            (step + 1) * self.train.plan.samples_per_step, self.train.plan.num_samples
        )
        if self._on_step_end:
            context = self._context()
            for controller in self._on_step_end:
                controller.on_step_end(context)
        self._losses.end_step(position.step)

    def _tell_unused(self) -> None:
        """Say which quantizers the first step of this process passed by."""
        self._has_stepped = True
        for line in unused_quantizers(self._network):
            self.say(f"note: {line}")

    def _end_epoch(self, interruption: Interruption, progress: Steps) -> None:
        position, experiment = self.position, self.experiment
        if self.valid is not None and self._is_time_to_save():
            self._save([LAST])  # validation may take long, and may be interrupted
        self._write_losses()
        self._metrics.flush()
        merge(self._metrics.meter, self.communicator)
        values = {f"train/{name}": value for name, value in self._metrics.meter.compute()}
        self._check_finite(values)
        ema = self.assembly.ema
        average_running_statistics(
            self._network, self.communicator, ema.state_dict() if ema is not None else None
        )
        context = self._context()
        for controller in listening(self.assembly.controllers, "on_validate"):
            controller.on_validate(context)
        is_best = False
        target = None
        if self.valid is not None:
            metrics = self._evaluate(self.valid, interruption)
            values |= {f"valid/{name}": value for name, value in metrics.items()}
            self._check_finite(values)
            target = metrics[experiment.target]
            stage = sum(quantizer.is_complete for quantizer in self._quantizers)
            is_best = self.best.update(target, position.epoch, stage)
        values["train/lr"] = self.assembly.learning_rate.value
        self.assembly.learning_rate.on_epoch_end(target)
        seconds = self._state.clock.end_epoch()
        epoch = position.epoch
        position.epoch += 1
        position.samples = 0
        position.is_finished = self._is_done()
        if self.logbook is not None:
            self.logbook.write(position.step, values, epoch=epoch, seconds=seconds)
        every = self.checkpoint.every_epochs
        is_kept = every > 0 and position.epoch % every == 0
        if is_best and self.communicator.is_root:
            self._unsaved_best = frozen({**self.identity, **self._state.weights()})
        if is_kept or position.is_finished or self._is_time_to_save():
            self._save([f"epoch{position.epoch:04d}"] * is_kept + [LAST])
        eta = None if position.is_finished else progress.eta(position.step)
        line = epoch_line(
            epoch, experiment.epochs, values, is_best=is_best, seconds=seconds, eta=eta
        )
        self.say(line)

    def _is_done(self) -> bool:
        experiment = self.experiment
        stop = experiment.early_stop
        return (
            self.position.epoch >= experiment.epochs
            or (experiment.max_steps is not None and self.position.step >= experiment.max_steps)
            or (stop is not None and self.best.num_stale >= stop.patience)
        )

    @property
    def _num_epochs(self) -> float:
        """The length of the run, which `max_steps` may cut into an epoch."""
        steps_per_epoch = self.train.plan.num_steps
        return self.experiment.num_steps(steps_per_epoch) / steps_per_epoch

    def _evaluate(self, loader: Loader, interruption: Interruption) -> dict[str, float]:
        def stop_if_due() -> None:
            if interruption.is_due():
                raise Interrupted

        ema = self.assembly.ema
        interruption.expect_new_pace()
        with ema.applied() if ema is not None else nullcontext():
            return evaluate(
                self._network,
                self.assembly.loss,
                loader,
                self.new_meter(),
                self.postprocess,
                self.precision,
                self.communicator,
                stop_if_due,
            )

    def _context(self) -> Context:
        return Context(
            epoch=self.position.epoch,
            step=self.position.step,
            optimizer=self.assembly.optimizer,
            communicator=self.communicator,
            generator=self._state.generator,
        )

    def _write_losses(self) -> None:
        for step, value in self._losses.take(self.communicator):
            self._check_finite({"train/step_loss": value})
            if self.logbook is not None:
                self.logbook.write(step, {"train/step_loss": value})

    def _check_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} at step {self.position.step}: training diverged; "
                    "try a smaller training.optimizer.params.lr or training.clip_norm"
                )

    def _check_state(self) -> None:
        name = self._state.not_finite()
        if name is not None:
            raise DivergedError(
                f"{name} holds NaN or infinity at step {self.position.step}: training diverged; "
                "try a smaller training.optimizer.params.lr or training.clip_norm"
            )

    def _save(self, names: list[str]) -> None:
        """Write a checkpoint, while training goes on with the next step. All ranks take part: each
        has its own random generators. Raises DivergedError, with the checkpoint before in its
        place, if the state is not finite: what is finite is not overwritten."""
        self._write_losses()
        self.communicator.on_all(self._check_state)
        ranks = self.communicator.gather(self._state.of_rank())
        self._saved_at = time.perf_counter()
        if not self.communicator.is_root:
            return
        mark = self.logbook.mark() if self.logbook is not None else {}
        state = frozen({**self.identity, **self._state.whole(ranks), "logbook": mark})
        best, self._unsaved_best = self._unsaved_best, None

        def write() -> None:
            # `last` comes last: who resumes from it finds the others written.
            if best is not None:
                self.checkpoints.save([BEST], to_cpu(best))
            self.checkpoints.save(names, to_cpu(state))
            self.checkpoints.prune_epochs(self.checkpoint.keep_last)

        self._background.start(write)

    def _is_time_to_save(self) -> bool:
        """Return whether the last checkpoint is long enough ago, by the clock of rank 0."""
        passed = time.perf_counter() - self._saved_at
        return self.communicator.from_root(lambda: passed >= self.checkpoint.seconds_between)
