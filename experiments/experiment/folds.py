"""Training and testing an experiment, fold by fold."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.data.loader import place
from experiments.experiment.beginning import begin
from experiments.experiment.distillation import KEY, entry_of
from experiments.experiment.experiment import Experiment
from experiments.experiment.hyperparameters import hyperparameters
from experiments.experiment.record import summary
from experiments.runs.checkpoints import BEST, LAST, Checkpoints, check_identity
from experiments.runs.files import write_json
from experiments.runs.folder import RunFolder
from experiments.runs.logbook import Logbook
from experiments.runs.pictures import is_image_batch, prediction_sheet
from experiments.training.trainer import Trainer
from experiments.training.weights import load_weights
from quantlab.algorithms.lsq import MIN_SCALE, LsqQuantizer
from quantlab.errors import QuantLabError
from quantlab.numerics.digest import weights_sha256
from quantlab.quantizer import Quantizer

_NUM_PICTURES = 16
# A larger table of confusions is nothing to read.
_MAX_CONFUSION_CLASSES = 100
_MOST_NAMES_SHOWN = 4


def run_folds(
    experiment: Experiment, folder: RunFolder, tell: Callable[[str], None], *, is_resumed: bool
) -> bool:
    """Train and test every fold that is not done; return False if interrupted. Rank 0 keeps the
    run's record."""
    done: list[dict[str, Any]] = folder.record().get("folds", []) if is_resumed else []
    num_folds = experiment.config.experiment.folds
    for fold in range(len(done), num_folds):
        if num_folds > 1:
            tell(f"fold {fold + 1} of {num_folds}")
        entry = _run_fold(experiment, folder, fold, tell, is_resumed=is_resumed)
        if entry is None:
            return False
        done.append(entry)
        if experiment.session.communicator.is_root:
            folder.update(
                folds=done,
                metrics=summary([e["metrics"] for e in done]),
                weights_sha256=done[0]["weights_sha256"],
                seconds=sum(e["seconds"] for e in done),
                captured=[e["captured"] for e in done],
            )
    return True


def _run_fold(
    experiment: Experiment,
    folder: RunFolder,
    fold: int,
    tell: Callable[[str], None],
    *,
    is_resumed: bool,
) -> dict[str, Any] | None:
    """Train one fold and test it; return its entry in the record, None if interrupted."""
    with _logbook(experiment, folder.fold(fold)) as logbook:
        trainer = _trainer(experiment, fold, folder.fold(fold), logbook, tell)
        return _train_and_test(experiment, folder, fold, trainer, tell, is_resumed=is_resumed)


@contextmanager
def _logbook(experiment: Experiment, path: Path) -> Iterator[Logbook | None]:
    """Open a fold's logbook on rank 0, and close it however the fold ends."""
    if not experiment.session.communicator.is_root:
        yield None
        return
    logbook = Logbook(path, experiment.config.experiment.name)
    try:
        yield logbook
    except BaseException:
        with suppress(OSError):  # a full disk is already being told
            logbook.close()
        raise
    logbook.close()


def _train_and_test(
    experiment: Experiment,
    folder: RunFolder,
    fold: int,
    trainer: Trainer,
    tell: Callable[[str], None],
    *,
    is_resumed: bool,
) -> dict[str, Any] | None:
    logbook = trainer.logbook
    if is_resumed and trainer.checkpoints.has(LAST):
        state = trainer.checkpoints.load(LAST, tell)
        check_identity(state, experiment.problem.name, experiment.library.name, "last.ckpt")
        trainer.restore(state)
        tell(f"resumed at epoch {trainer.position.epoch + 1}, step {trainer.position.step}")
    else:
        if logbook is not None:
            logbook.cut({})
        begin(experiment, trainer, fold, tell)
    try:
        is_done = trainer.fit()
    finally:
        if logbook is not None:
            before = sum(entry["seconds"] for entry in folder.record()["folds"])
            with suppress(QuantLabError):  # a full disk is already being told
                folder.update(seconds=before + trainer.seconds)
    if not is_done:
        return None
    for line in (*unquantized(trainer.assembly.network), *lost_steps(trainer.assembly.network)):
        tell(line)
    digest = weights_sha256(trainer.assembly.network.state_dict())
    metrics = _final_metrics(experiment, trainer, trainer.checkpoints.folder.parent)
    for line in not_finite(metrics):
        tell(line)
    if logbook is not None:
        step, epoch = trainer.position.step, trainer.position.epoch
        _show_samples(experiment, trainer, logbook)
        logbook.write_end(step, metrics, epoch=epoch)
        assembly = trainer.assembly
        described = hyperparameters(
            experiment.config,
            experiment.library.name,
            assembly.network,
            float(assembly.optimizer.defaults["lr"]),
        )
        logbook.board.hyperparameters(described)
    return {
        "metrics": metrics,
        "weights_sha256": digest,
        "seconds": trainer.seconds,
        "captured": trainer.captured,
    }


def unquantized(network: nn.Module) -> Iterator[str]:
    """Yield a note if quantizers have not done yet what they are there for."""
    quantizers = {n: m for n, m in network.named_modules() if isinstance(m, Quantizer)}
    late = [name for name, quantizer in quantizers.items() if not quantizer.is_complete]
    if late:
        shown = ", ".join(late[:_MOST_NAMES_SHOWN])
        more = f" and {len(late) - _MOST_NAMES_SHOWN} more" if len(late) > _MOST_NAMES_SHOWN else ""
        yield (
            f"note: {len(late)} of {len(quantizers)} tensors were not wholly quantized when the "
            f"run ended ({shown}{more}); see start_epoch, observe_steps and fraction"
        )


def lost_steps(network: nn.Module) -> Iterator[str]:
    """Yield a note if step sizes of LSQ are at their least, where they get no gradient any more."""
    quantizers = {n: m for n, m in network.named_modules() if isinstance(m, LsqQuantizer)}
    lost = {n: int((m.step_size <= MIN_SCALE).sum()) for n, m in quantizers.items()}
    names = [name for name, count in lost.items() if count]
    if names:
        whole = sum(quantizer.step_size.numel() for quantizer in quantizers.values())
        shown = ", ".join(names[:_MOST_NAMES_SHOWN])
        more = (
            f" and {len(names) - _MOST_NAMES_SHOWN} more" if len(names) > _MOST_NAMES_SHOWN else ""
        )
        yield (
            f"note: {sum(lost.values())} of {whole} learned step sizes fell to nothing "
            f"({shown}{more}); lower the learning rate: see lsq in docs/algorithms.md"
        )


def not_finite(metrics: Mapping[str, float]) -> Iterator[str]:
    """Yield a note if metrics are no numbers, which JSON does not have."""
    names = [name for name, value in metrics.items() if not math.isfinite(value)]
    if names:
        are = "is" if len(names) == 1 else "are"
        yield f"note: {', '.join(names)} {are} not finite; null in run.json and metrics.jsonl"


def _trainer(
    experiment: Experiment,
    fold: int,
    path: Path,
    logbook: Logbook | None,
    tell: Callable[[str], None],
) -> Trainer:
    halves = experiment.split(fold)
    samples = place(experiment.data.train, experiment.session.device)
    has_valid = len(halves.valid) > 0
    return Trainer(
        assembly=experiment.assemble(fold),
        experiment=experiment.config.experiment,
        training=experiment.config.training,
        checkpoint=experiment.config.checkpoint,
        train=experiment.loader(samples, halves.train, fold, is_training=True),
        valid=experiment.loader(samples, halves.valid, fold, is_training=False)
        if has_valid
        else None,
        new_meter=experiment.new_meter,
        postprocess=experiment.library.postprocess,
        precision=experiment.precision(),
        communicator=experiment.session.communicator,
        device=experiment.session.device,
        checkpoints=Checkpoints(path / "saves"),
        logbook=logbook,
        seed=experiment.seed(fold),
        say=tell,
        graphs=experiment.graphs,
        identity={
            "problem": experiment.problem.name,
            "topology": experiment.library.name,
            KEY: entry_of(experiment.teacher),
        },
    )


def _final_metrics(experiment: Experiment, trainer: Trainer, path: Path) -> dict[str, float]:
    """Test the best epoch's network if there was validation, else the last; the trainer's network
    then holds those weights. Write the confusions."""
    network, ema = trainer.assembly.network, trainer.assembly.ema
    metrics: dict[str, float] = {}
    if trainer.best.value is not None:
        experiment.session.communicator.barrier()  # rank 0 may still be writing it
        best = trainer.checkpoints.load(BEST, trainer.say)
        load_weights(network, best["ema"] or best["network"], "best.ckpt")
        metrics[f"best/{experiment.config.experiment.target}"] = trainer.best.value
        metrics["best/epoch"] = float(trainer.best.epoch or 0) + 1
    elif ema is not None:
        load_weights(network, ema.state_dict(), "average")
    meter = experiment.new_meter()
    tested = experiment.test(network, trainer.assembly.loss, meter)
    confusion = meter.state().get("confusion")
    classes = list(experiment.data.test.classes)
    is_root = experiment.session.communicator.is_root
    if is_root and confusion is not None and len(classes) <= _MAX_CONFUSION_CLASSES:
        write_json(path / "confusion.json", {"classes": classes, "counts": confusion.tolist()})
    return metrics | {f"test/{name}": value for name, value in tested.items()}


@torch.no_grad()
def _show_samples(experiment: Experiment, trainer: Trainer, logbook: Logbook) -> None:
    """Put a few test samples with their predictions on the board, if they are images of classes."""
    test = experiment.data.test
    indices = torch.linspace(0, len(test) - 1, min(_NUM_PICTURES, len(test))).long()
    batch = experiment.sample_batch(test, indices)
    scores = experiment.library.postprocess(trainer.assembly.network.eval()(batch.inputs))
    are_classes = batch.targets.ndim == 1 and scores.shape == (len(indices), len(test.classes))
    if not (is_image_batch(batch.raw) and batch.raw.dtype == torch.uint8 and are_classes):
        return
    predicted = scores.argmax(1)
    sheet = prediction_sheet(
        batch.raw,
        [test.classes[i] for i in predicted.tolist()],
        [test.classes[i] for i in batch.targets.tolist()],
    )
    logbook.show_end(trainer.position.step, "test/samples", sheet)
