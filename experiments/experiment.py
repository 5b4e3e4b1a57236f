"""An experiment: one configuration, trained and tested, over all of its folds."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from experiments.configuration.documents import Document
from experiments.configuration.schema import Config, as_plain
from experiments.configuration.section import complain
from experiments.data.draws import derive_seed
from experiments.data.loader import Loader, place
from experiments.data.plan import Plan
from experiments.data.splits import Split, split
from experiments.library import Library, Problem
from experiments.protocols import Data, Dataset, InMemory, Meter
from experiments.runs import environment
from experiments.runs.checkpoints import BEST, LAST, Checkpoints
from experiments.runs.digest import weights_sha256
from experiments.runs.files import write_json
from experiments.runs.folder import SCHEMA_VERSION, RunFolder
from experiments.runs.logbook import Logbook, rank_log
from experiments.runs.pictures import is_image_batch, prediction_sheet
from experiments.session import Session
from experiments.training.assembly import Assembly, assemble, load_weights
from experiments.training.evaluation import evaluate
from experiments.training.precision import Precision
from experiments.training.trainer import Trainer
from quantlab.errors import DataError, UsageError, did_you_mean

_NUM_PICTURES = 16


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained, on what, by whom. Creating it builds the network of the first fold, so that
    whatever does not fit is found before anything is written."""

    problem: Problem
    library: Library
    config: Config
    document: Document
    data: Data
    session: Session

    def __post_init__(self) -> None:
        meter = self.new_meter()
        target = self.config.experiment.target
        if target not in meter.directions:
            hint = did_you_mean(target, meter.directions)
            allowed = ", ".join(meter.directions)
            message = f"{self.problem.name}'s meter has no {target!r}{hint}; allowed: {allowed}"
            raise complain(self.document, ("experiment", "target"), message)
        if not len(self.split(0).valid) and self.config.experiment.early_stop:
            message = "needs validation samples: set data.valid_fraction or experiment.folds"
            raise complain(self.document, ("experiment", "early_stop"), message)
        self._try_out(self.assemble(0))

    def new_meter(self) -> Meter:
        return self.problem.meter(self.data.test.classes)

    def split(self, fold: int) -> Split:
        data = self.config.data
        return split(
            len(self.data.train),
            valid_fraction=data.valid_fraction,
            split_seed=data.split_seed,
            limit=data.limit,
            folds=self.config.experiment.folds,
            fold=fold,
        )

    def seed(self, fold: int) -> int:
        return derive_seed(self.config.experiment.seed, "fold", fold)

    def assemble(self, fold: int) -> Assembly:
        return assemble(
            self.problem,
            self.library,
            self.config,
            self.document,
            seed=self.seed(fold),
            device=self.session.device,
            num_ranks=self.session.communicator.size,
        )

    def loader(
        self, dataset: Dataset, indices: torch.Tensor, fold: int, *, is_training: bool
    ) -> Loader:
        """Return this rank's loader over some samples of a data set."""
        data, communicator = self.config.data, self.session.communicator
        plan = Plan(
            num_samples=len(indices),
            batch_size=data.batch_size if is_training else data.eval_batch_size,
            batches_per_step=self.config.training.accumulate if is_training else 1,
            num_ranks=communicator.size,
            rank=communicator.rank,
        )
        return Loader(
            dataset,
            indices,
            preprocess=self.library.preprocess,
            plan=plan,
            seed=self.seed(fold),
            device=self.session.device,
            workers=self._num_workers(dataset),
            dtype=self._precision().dtype,
            is_augmented=is_training and data.augment,
            is_channels_last=self.config.training.channels_last,
        )

    def run(self, folder: RunFolder, *, is_resumed: bool) -> bool:
        """Train and test every fold that is not done; return False if interrupted."""
        started = time.perf_counter()
        done: list[dict[str, Any]] = folder.record().get("folds", []) if is_resumed else []
        for fold in range(len(done), self.config.experiment.folds):
            entry = self._run_fold(folder, fold, is_resumed=is_resumed)
            if entry is None:
                return False
            done.append(entry)
            if self.session.communicator.is_root:
                folder.update(
                    folds=done,
                    metrics=_summary([e["metrics"] for e in done]),
                    weights_sha256=done[0]["weights_sha256"],
                    seconds=sum(e["seconds"] for e in done),
                )
        rank_log(folder.path, self.session.communicator.rank).info(
            "done after %.1f s", time.perf_counter() - started
        )
        return True

    def test(self, network: nn.Module, loss: nn.Module, meter: Meter) -> dict[str, float]:
        """Return the metrics on the test samples; `meter` keeps the counts."""
        loader = self.loader(
            place(self.data.test, self.session.device),
            torch.arange(len(self.data.test)),
            0,
            is_training=False,
        )
        return evaluate(
            network,
            loss,
            loader,
            meter,
            self.library.postprocess,
            self._precision(),
            self.session.communicator,
        )

    @torch.no_grad()
    def _try_out(self, assembly: Assembly) -> None:
        """Send two samples through network, loss and meter, to see whether they fit together."""
        indices = torch.arange(min(2, len(self.data.train)))
        loader = Loader(
            self.data.train,
            indices,
            preprocess=self.library.preprocess,
            plan=Plan(num_samples=len(indices), batch_size=len(indices)),
            seed=0,
            device=self.session.device,
            workers=0,
            dtype=self._precision().dtype,
            is_augmented=False,
        )
        batch = next(loader.epoch(0, is_shuffled=False))
        assembly.network.eval()
        try:
            outputs = assembly.network(batch.inputs)
            loss = assembly.loss(outputs, batch.targets)
            self.new_meter().update(self.library.postprocess(outputs), batch.targets, loss)
        except (ValueError, RuntimeError, IndexError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            shape = "x".join(map(str, batch.inputs.shape[1:]))
            raise UsageError(
                f"{self.library.name} does not fit {self.problem.name}'s data ({shape}, "
                f"{len(self.data.train.classes)} classes): {reason}"
            ) from error

    def _num_workers(self, dataset: Dataset) -> int:
        workers = self.config.data.workers
        if workers != "auto":
            return workers
        return 0 if isinstance(dataset, InMemory) else self.session.threads

    def _precision(self) -> Precision:
        return Precision(self.config.training.precision, self.session.device)

    def _run_fold(self, folder: RunFolder, fold: int, *, is_resumed: bool) -> dict[str, Any] | None:
        """Train one fold and test it; None if interrupted."""
        session, config = self.session, self.config
        path = folder.fold(fold)
        checkpoints = Checkpoints(path / "saves")
        logbook = Logbook(path) if session.communicator.is_root else None
        halves = self.split(fold)
        train_set = place(self.data.train, session.device)
        assembly = self.assemble(fold)
        if config.experiment.folds > 1:
            session.say(f"fold {fold + 1} of {config.experiment.folds}")
        valid = None
        if len(halves.valid):
            valid = self.loader(train_set, halves.valid, fold, is_training=False)
        trainer = Trainer(
            assembly=assembly,
            config=config,
            train=self.loader(train_set, halves.train, fold, is_training=True),
            valid=valid,
            new_meter=self.new_meter,
            postprocess=self.library.postprocess,
            precision=self._precision(),
            communicator=session.communicator,
            device=session.device,
            checkpoints=checkpoints,
            logbook=logbook,
            seed=self.seed(fold),
            say=self._say_and_log(folder),
            identity={"problem": self.problem.name, "topology": self.library.name},
        )
        if is_resumed and checkpoints.has(LAST):
            state = checkpoints.load(LAST, session.say)
            check_identity(state, self.problem.name, self.library.name, "last.ckpt")
            trainer.restore(state)
            session.say(
                f"resumed at epoch {trainer.position.epoch + 1}, step {trainer.position.step}"
            )
        elif logbook is not None:
            logbook.cut(-1)
        if not trainer.fit():
            return None
        digest = weights_sha256(assembly.network.state_dict())
        metrics = self._final_metrics(trainer, path, logbook)
        if logbook is not None:
            logbook.write(trainer.position.step, metrics, epoch=trainer.position.epoch, final=True)
            logbook.board.hyperparameters(flatten(as_plain(config)), metrics)
            logbook.close()
        return {"metrics": metrics, "weights_sha256": digest, "seconds": trainer.seconds}

    def _final_metrics(
        self, trainer: Trainer, path: Any, logbook: Logbook | None
    ) -> dict[str, float]:
        """Test the best epoch's network if there was validation, else the last."""
        network = trainer.assembly.network
        metrics: dict[str, float] = {}
        if trainer.best.value is not None:
            self.session.communicator.barrier()  # rank 0 may still be writing it
            best = trainer.checkpoints.load(BEST, self.session.say)
            load_weights(network, best["ema"] or best["network"], "best.ckpt")
            metrics[f"best/{self.config.experiment.target}"] = trainer.best.value
            metrics["best/epoch"] = float(trainer.best.epoch or 0) + 1
        elif trainer.assembly.ema is not None:
            load_weights(network, trainer.assembly.ema.state_dict(), "average")
        meter = self.new_meter()
        tested = self.test(network, trainer.assembly.loss, meter)
        metrics |= {f"test/{name}": value for name, value in tested.items()}
        if logbook is not None:
            confusion = meter.state().get("confusion")
            if confusion is not None and len(self.data.test.classes) <= 100:
                table = {"classes": list(self.data.test.classes), "counts": confusion.tolist()}
                write_json(path / "confusion.json", table)
            self._show_samples(trainer, logbook)
        return metrics

    def _show_samples(self, trainer: Trainer, logbook: Logbook) -> None:
        """Put a few test samples with their predictions on the board."""
        test, device = self.data.test, self.session.device
        indices = torch.linspace(0, len(test) - 1, min(_NUM_PICTURES, len(test))).long()
        loader = Loader(
            test,
            indices,
            preprocess=self.library.preprocess,
            plan=Plan(num_samples=len(indices), batch_size=len(indices)),
            seed=0,
            device=device,
            workers=0,
            dtype=self._precision().dtype,
            is_augmented=False,
        )
        batch = next(loader.epoch(0, is_shuffled=False))
        if not is_image_batch(batch.raw):
            return
        network = trainer.assembly.network.eval()
        with torch.no_grad():
            predicted = self.library.postprocess(network(batch.inputs)).argmax(1)
        names = test.classes
        sheet = prediction_sheet(
            batch.raw,
            [names[i] for i in predicted.tolist()],
            [names[i] for i in batch.targets.tolist()],
        )
        logbook.board.picture("test/samples", trainer.position.step, sheet)

    def _say_and_log(self, folder: RunFolder) -> Any:
        log = rank_log(folder.path, self.session.communicator.rank)

        def tell(line: str) -> None:
            self.session.say(line)
            log.info(line)

        return tell


def new_record(
    folder: RunFolder, experiment: Experiment, *, parent: str | None = None
) -> dict[str, Any]:
    """Return run.json as it stands when a run begins."""
    communicator = experiment.session.communicator
    return {
        "schema_version": SCHEMA_VERSION,
        "id": folder.name,
        "exp_id": folder.exp_id,
        "problem": experiment.problem.name,
        "topology": experiment.library.name,
        "name": experiment.config.experiment.name,
        "config": as_plain(experiment.config),
        "status": "running",
        "exit_code": None,
        "parent": parent,
        "metrics": {},
        "folds": [],
        "weights_sha256": None,
        "data": experiment.data.source,
        "command": environment.command(),
        "git": environment.git_state(),
        "packages": environment.packages(),
        "seeds": {
            "experiment": experiment.config.experiment.seed,
            "split": experiment.config.data.split_seed,
        },
        "launcher": communicator.launcher,
        "world_size": communicator.size,
        "threads": experiment.session.threads,
        "host": environment.host(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": 0.0,
    }


def check_identity(state: Mapping[str, Any], problem: str, topology: str, file: str) -> None:
    """Raise UsageError if a checkpoint is of another problem or topology."""
    theirs = f"{state.get('problem')}/{state.get('topology')}"
    if theirs != f"{problem}/{topology}":
        raise UsageError(f"{file}: a checkpoint of {theirs}; expected one of {problem}/{topology}")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _summary(folds: list[dict[str, float]]) -> dict[str, float]:
    """Return the metrics of the only fold, or means over the folds with their deviations."""
    if len(folds) == 1:
        return folds[0]
    summary: dict[str, float] = {}
    for name in folds[0]:
        values = [fold[name] for fold in folds]
        mean = math.fsum(values) / len(values)
        summary[name] = mean
        variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
        summary[f"{name}_std"] = math.sqrt(variance)
    return summary
