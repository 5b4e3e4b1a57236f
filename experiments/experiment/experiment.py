"""An experiment: one configuration with all that it names, built and seen to fit together."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch
from torch import nn

from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.data.checks import check_finite
from experiments.data.draws import derive_seed
from experiments.data.loader import Batch, Loader, place
from experiments.data.plan import Plan
from experiments.data.splits import Split, samples_to_test, split
from experiments.experiment.assembly import assemble
from experiments.experiment.config import Config
from experiments.experiment.distillation import check_teacher, is_distilled
from experiments.experiment.teacher import read_teacher
from experiments.library import HOME, PROBLEMS, Library, Problem
from experiments.processes.session import Session
from experiments.protocols import Data, Dataset, InMemory, Meter
from experiments.training.assembly import Assembly
from experiments.training.batch_norm import can_train_on
from experiments.training.capture.graphs import Graphs, graphs_of
from experiments.training.capture.tensor_rates import why_not_recorded
from experiments.training.distillation.teacher import Teacher
from experiments.training.evaluation import evaluate
from experiments.training.learning_rate import LearningRate
from experiments.training.loss import check_targets
from experiments.training.monitoring import check_times
from experiments.training.precision import Precision
from quantlab.errors import DataError, QuantLabError, UsageError, did_you_mean

# What the code of problems may raise where it does not fit.
_OF_USERS_CODE = (
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    UserWarning,
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained, on what, by whom. is_quick: to see whether it runs, see `quick`."""

    problem: Problem
    library: Library
    config: Config
    document: Document
    data: Data
    session: Session
    is_quick: bool = False

    def check(self) -> None:
        """Build the network of the first fold and try it out, so that whatever does not fit is
        found before anything is written. Raises UsageError."""
        meter = self.new_meter()
        target = self.config.experiment.target
        if target not in meter.directions:
            hint = did_you_mean(target, meter.directions)
            allowed = ", ".join(meter.directions)
            message = f"{self.problem.name}'s meter has no {target!r}{hint}; allowed: {allowed}"
            raise complain(self.document, ("experiment", "target"), message)
        self._check_validation()
        throwaway = self.assemble(0)
        self._check_capture(throwaway)
        self._check_plateau(throwaway.learning_rate.plateau_mode, meter.directions[target])
        self._try_out(throwaway)
        self._check_batches(throwaway.network)
        self._rehearse(throwaway.learning_rate)
        check_times(self.config.monitor, self.document, self._num_steps)

    @property
    def graphs(self) -> Graphs | None:
        """What records training steps, None on a CPU."""
        return graphs_of(self.session.device)

    def new_meter(self) -> Meter:
        return self.problem.meter(self.data.test.classes)

    def split(self, fold: int) -> Split:
        data = self.config.data
        return split(
            len(self.data.train),
            valid_fraction=data.valid_fraction,
            split_seed=data.split_seed,
            limit=data.limit,
            limit_valid=data.limit_valid,
            folds=self.config.experiment.folds,
            fold=fold,
        )

    @property
    def test_samples(self) -> torch.Tensor:
        """Indices of the test samples that are used."""
        data = self.config.data
        num_samples = len(self.data.test)
        return samples_to_test(num_samples, split_seed=data.split_seed, limit=data.limit_test)

    def seed(self, fold: int) -> int:
        return derive_seed(self.config.experiment.seed, "fold", fold)

    @property
    def num_steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch of the first fold."""
        return self._plan(len(self.split(0).train), is_training=True).num_steps

    @cached_property
    def teacher(self) -> Teacher | None:
        """The network that is learned from, on the device; None without one. Raises UsageError."""
        if not is_distilled(self.config):
            return None
        device = self.session.device
        return read_teacher(self.problem, self.library, self.config, self.document, device)

    @cached_property
    def original(self) -> Teacher | None:
        """The network whose weights generated layers are projected from when a run begins; None
        without a projection. Raises UsageError."""
        mlg = self.config.mlg
        if mlg is None or mlg.projection_alg is None:
            return None
        if self.config.teacher is None:
            message = (
                f"{mlg.projection_alg!r} given without a teacher; set teacher.exp_id, or a file "
                "as teacher.checkpoint"
            )
            raise complain(self.document, ("mlg", "projection_alg"), message)
        if self.teacher is not None:
            return self.teacher
        device = self.session.device
        return read_teacher(self.problem, self.library, self.config, self.document, device)

    def assemble(self, fold: int) -> Assembly:
        teacher = self.teacher  # first: building it draws random numbers
        return assemble(
            self.problem,
            self.library,
            self.config,
            self.document,
            seed=self.seed(fold),
            device=self.session.device,
            num_ranks=self.session.communicator.size,
            teacher=teacher,
        )

    def loader(
        self, dataset: Dataset, indices: torch.Tensor, fold: int, *, is_training: bool
    ) -> Loader:
        """Return this rank's loader over some samples of a data set."""
        data = self.config.data
        return Loader(
            dataset,
            indices,
            preprocess=self.library.preprocess,
            plan=self._plan(len(indices), is_training=is_training),
            seed=self.seed(fold),
            device=self.session.device,
            workers=self._num_workers(dataset),
            dtype=self.precision().dtype,
            is_augmented=is_training and data.augment,
            is_channels_last=self.config.training.channels_last,
        )

    def test(self, network: nn.Module, loss: nn.Module, meter: Meter) -> dict[str, float]:
        """Return the metrics on the test samples; `meter` keeps the counts."""
        loader = self.loader(
            place(self.data.test, self.session.device),
            self.test_samples,
            0,
            is_training=False,
        )
        try:
            return evaluate(
                network,
                loss,
                loader,
                meter,
                self.library.postprocess,
                self.precision(),
                self.session.communicator,
            )
        finally:
            loader.close()

    def sample_batch(
        self, dataset: Dataset, indices: torch.Tensor, *, is_augmented: bool = False
    ) -> Batch:
        """Return a few samples as the network takes them, the same on all ranks."""
        loader = Loader(
            dataset,
            indices,
            preprocess=self.library.preprocess,
            plan=Plan(num_samples=len(indices), batch_size=len(indices)),
            seed=0,
            device=self.session.device,
            workers=0,
            dtype=self.precision().dtype,
            is_augmented=is_augmented,
        )
        return next(loader.epoch(0, is_shuffled=False))

    def precision(self) -> Precision:
        return Precision(self.config.training.precision, self.session.device)

    @torch.no_grad()
    def _try_out(self, assembly: Assembly) -> None:
        """Send two samples through network, loss and meter, to see whether they fit together: some
        to train, and some to test, which may be of other sizes."""
        train, test = self.data.train, self.data.test
        batch = self._prepared(train, is_augmented=False)
        if self.config.data.augment:
            self._prepared(train, is_augmented=True)
        assembly.network.eval()
        outputs = self._try_batch(assembly, batch, "data")
        if self.teacher is not None:
            check_teacher(self.teacher, batch, outputs, self.document)
        if test is not train:
            self._try_batch(assembly, self._prepared(test, is_augmented=False), "test data")

    def _try_batch(self, assembly: Assembly, batch: Batch, kind: str) -> Any:
        """Return the network's outputs for a batch. Raises UsageError where it does not fit
        network, loss and meter."""
        outputs: Any = None
        try:
            outputs = assembly.network(batch.inputs)
            check_targets(assembly.loss, outputs, batch.targets)
            with warnings.catch_warnings():
                # Torch would only warn, and take the mean over all pairs of samples.
                warnings.filterwarnings("error", message="Using a target size")
                loss = assembly.loss(outputs, batch.targets)
            self.new_meter().update(self.library.postprocess(outputs), batch.targets, loss)
        except _OF_USERS_CODE as error:
            if isinstance(error, DataError):
                raise
            shape = "x".join(map(str, batch.inputs.shape[1:]))
            is_usual = outputs is None or isinstance(outputs, torch.Tensor)
            returned = "" if is_usual else f"; the network returns a {type(outputs).__name__}"
            raise UsageError(
                f"{self.library.name} does not fit {self.problem.name}'s {kind} ({shape}, "
                f"{len(self.data.train.classes)} classes): {_reason(error)}"
                f"{returned}{_place(error)}"
            ) from error
        return outputs

    def _prepared(self, dataset: Dataset, *, is_augmented: bool) -> Batch:
        """Return two samples as the network takes them.

        Raises UsageError where the library's preprocess.py does not fit them, DataError for numbers
        that are not finite.
        """
        two = torch.arange(min(2, len(dataset)))
        function = f"preprocess.{'train' if is_augmented else 'evaluate'}"
        try:
            batch = self.sample_batch(dataset, two, is_augmented=is_augmented)
        except QuantLabError:
            raise
        except _OF_USERS_CODE as error:
            raise UsageError(
                f"{self.library.name}: {function} fails on {self.problem.name}'s samples: "
                f"{_reason(error)}{_place(error)}"
            ) from error
        check_finite(batch.inputs, f"{self.library.name}: {function}")
        return batch

    def _plan(self, num_samples: int, *, is_training: bool) -> Plan:
        """Return how this rank takes its share of some samples."""
        data, communicator = self.config.data, self.session.communicator
        return Plan(
            num_samples=num_samples,
            batch_size=data.batch_size if is_training else data.eval_batch_size,
            batches_per_step=self.config.training.accumulate if is_training else 1,
            num_ranks=communicator.size,
            rank=communicator.rank,
            drops_partial=is_training and data.drop_last,
        )

    def _check_batches(self, network: nn.Module) -> None:
        """Raise UsageError for epochs without a step, and for batches of one sample where batch
        norms cannot train on them."""
        folds = range(self.config.experiment.folds)
        plans = [self._plan(len(self.split(fold).train), is_training=True) for fold in folds]
        fewest = min(plans, key=lambda plan: plan.num_samples)
        if not fewest.num_steps:
            message = (
                f"leaves no step: {fewest.num_samples} samples train, a step has "
                f"{fewest.samples_per_step}"
            )
            raise complain(self.document, ("data", "drop_last"), message)
        if min(plan.smallest_batch for plan in plans) > 1:
            return
        one = self.sample_batch(self.data.train, torch.arange(1))
        if not can_train_on(network, one.inputs):
            remedy = "set data.drop_last=true, or another batch_size"
            if self.config.data.batch_size == 1:
                remedy = "set at least 2"
            message = f"leaves a batch of 1 sample, on which batch norm cannot train; {remedy}"
            raise complain(self.document, ("data", "batch_size"), message)

    def _check_validation(self) -> None:
        """Raise UsageError for what would validate on no samples."""
        asked: dict[tuple[str, str], object] = {
            ("experiment", "early_stop"): self.config.experiment.early_stop,
            ("data", "limit_valid"): self.config.data.limit_valid,
        }
        for path, value in asked.items():
            if value is not None and not len(self.split(0).valid):
                message = "needs validation samples: set data.valid_fraction or experiment.folds"
                raise complain(self.document, path, message)

    def _check_capture(self, assembly: Assembly) -> None:
        """Raise UsageError if steps have to be captured and cannot be."""
        if self.config.training.capture != "always":
            return
        reason = "the run is on a CPU" if self.graphs is None else None
        reason = reason or why_not_recorded(assembly.optimizer)
        if reason is not None:
            message = f"always given, but {reason}; auto or never allowed"
            raise complain(self.document, ("training", "capture"), message)

    def _check_plateau(self, mode: str | None, direction: str) -> None:
        """A schedule that follows the target metric needs one, and must know what is better."""
        path = ("training", "lr_scheduler")
        if mode is not None and not len(self.split(0).valid):
            message = "needs validation samples: set data.valid_fraction or experiment.folds"
            raise complain(self.document, path, message)
        if mode not in (None, direction):
            target = self.config.experiment.target
            message = f"mode is {mode!r}, but of {target} the {direction} is best: set params.mode"
            raise complain(self.document, path, message)

    def _rehearse(self, learning_rate: LearningRate) -> None:
        """Take the learning rate through all epochs, to see whether its schedule allows them."""
        num_epochs = -(-self._num_steps // self.num_steps_per_epoch)
        try:
            learning_rate.rehearse(num_epochs)
        except (ValueError, TypeError, ArithmeticError) as error:
            name = self.config.training.lr_scheduler.name
            message = f"{name} does not last {num_epochs} epochs: {error}"
            raise complain(self.document, ("training", "lr_scheduler"), message) from error

    @property
    def _num_steps(self) -> int:
        return self.config.experiment.num_steps(self.num_steps_per_epoch)

    def _num_workers(self, dataset: Dataset) -> int:
        workers = self.config.data.workers
        if workers != "auto":
            return workers
        return 0 if isinstance(dataset, InMemory) else self.session.threads


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _place(error: BaseException) -> str:
    """Return the last line of the problems' own code that an error passed through."""
    places = [
        f"{Path(frame.filename).relative_to(HOME)}:{frame.lineno}"
        for frame in extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(PROBLEMS)
    ]
    return f" ({places[-1]})" if places else ""
