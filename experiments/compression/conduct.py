"""From a trained network and a configuration to the run that compresses it."""

import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from experiments.compression.config import CompressConfig
from experiments.compression.feed import Feed
from experiments.compression.record import new_record, reached, unreached
from experiments.compression.samples import split_of
from experiments.compression.shown import Shown
from experiments.configuration.documents import dump
from experiments.data.loader import Loader, place
from experiments.deployment.program import spec_of
from experiments.experiment.conduct import INTERRUPTED
from experiments.experiment.experiment import Experiment
from experiments.experiment.record import circumstances
from experiments.processes.session import Session
from experiments.runs.files import storage_error, write_atomically, write_json
from experiments.runs.folder import Lock, RunFolder, create_run
from experiments.runs.logbook import rank_log
from experiments.storage import ensure_links
from experiments.training.interruption import terminated_as_interrupted
from quantlab.compression import Compressed, Data, UnreachableError, compress
from quantlab.errors import QuantLabError, UsageError
from quantlab.integer.file import to_bytes

UNREACHABLE = "unreachable"
PROGRAM, CURVE, C, STATE = "program.qlp", "curve.json", "c", "state"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The trained network of a run, the loss that knows it, and the run as an experiment."""

    experiment: Experiment
    folder: RunFolder
    network: nn.Module
    loss: nn.Module


def check_alone(session: Session) -> None:
    """Raise UsageError where a launcher has started several processes."""
    if session.communicator.size > 1:
        raise UsageError(
            f"compress: {session.communicator.size} processes given, 1 allowed; start it with "
            "python alone"
        )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that is over. compressed: None if it was interrupted."""

    folder: RunFolder
    compressed: Compressed | None


def conduct(source: Source, config: CompressConfig, folder: RunFolder | None = None) -> Ended:
    """Compress in a new run, or go on with one.

    Raises UsageError, UnreachableError and others of `compress`. Of a new run that is refused
    before anything was trained nothing is left.
    """
    problem, is_new = source.experiment.problem, folder is None
    ensure_links(problem)
    run = folder or create_run(problem.name, problem.logs_folder)
    lock: Lock | None = None
    try:
        lock = Lock(run.path)
        _begin(run, source, config, is_new=is_new)
        compressed = _recorded(run, source, config)
        return Ended(folder=run, compressed=compressed)
    except UsageError:
        if is_new and not _has_begun(run):
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            lock.release()


def _recorded(run: RunFolder, source: Source, config: CompressConfig) -> Compressed | None:
    """Compress; write into the run's record and log how that ends. None if it is interrupted."""
    log = rank_log(run.path, 0)
    before, started = run.record()["seconds"], time.perf_counter()

    def seconds() -> float:
        return float(before + time.perf_counter() - started)

    entries: dict[str, Any] = {"status": "failed", "exit_code": 1}
    try:
        with terminated_as_interrupted():
            compressed = _compress(run, source, config, seconds)
        entries = {"status": "done", "exit_code": 0, **reached(compressed)}
        return compressed
    except UnreachableError as error:
        entries = {"status": UNREACHABLE, "exit_code": error.exit_code, **unreached(error)}
        log.error("%s", error)
        write_json(run.path / CURVE, [asdict(point) for point in error.curve])
        source.experiment.session.say(f"run folder: {run.path}")
        raise
    except QuantLabError as error:
        entries["exit_code"] = error.exit_code
        log.error("%s", error)
        raise
    except KeyboardInterrupt:
        entries = {"status": "interrupted", "exit_code": INTERRUPTED}
        return None
    except BaseException:
        log.error("%s", traceback.format_exc())
        raise
    finally:
        with suppress(QuantLabError):  # a full disk is already being told
            run.update(**entries, seconds=seconds())


def _has_begun(folder: RunFolder) -> bool:
    return any((folder.path / STATE).glob("*.state"))


def _begin(run: RunFolder, source: Source, config: CompressConfig, *, is_new: bool) -> None:
    """Write the configuration and the record of a new run, or note that one goes on."""
    session, experiment = source.experiment.session, source.experiment
    if is_new:
        plain = config.model_dump(mode="json")
        write_atomically(run.config_file, dump(plain).encode())
        run.update(**new_record(run, source.folder, experiment, config))
    else:
        resumed = [*run.record().get("resumed", []), circumstances(session)]
        run.update(status="running", exit_code=None, resumed=resumed)
    session.say(f"{run.name}  {experiment.library.name}  compresses {source.folder.name}")
    session.say(f"data: {experiment.data.source}; {session.describe()}")


def _compress(
    run: RunFolder, source: Source, config: CompressConfig, seconds: Callable[[], float]
) -> Compressed:
    """Compress the network on the run's samples. seconds: of work on this run, until now."""
    experiment, epochs = source.experiment, config.recipe.epochs
    train, valid, test = loaders = _loaders(experiment, config)
    device = experiment.session.device

    def note(done: int) -> None:
        run.update(epochs=done, seconds=seconds())

    shown = Shown(epochs, train.plan.num_steps, run.record().get("epochs", 0), note)
    try:
        with shown:
            compressed = compress(
                source.network.to(device),
                Data(
                    train=Feed(train, is_shuffled=True, on_batch=shown.batch),
                    valid=Feed(valid, is_shuffled=False),
                    test=Feed(test, is_shuffled=False),
                ),
                budget=config.budget.budget(),
                floor=config.floor,
                recipe=config.recipe,
                folder=run.path,
                board=config.board,
                spec=spec_of(experiment.library, experiment.data),
                criterion=source.loss.to(device),
                progress=shown.epoch,
            )
        write_atomically(run.path / PROGRAM, to_bytes(compressed.program))
        return compressed
    except OSError as error:
        raise storage_error(Path(error.filename or run.path), error) from error
    finally:
        for loader in loaders:
            loader.close()


def _loaders(experiment: Experiment, config: CompressConfig) -> tuple[Loader, Loader, Loader]:
    """Return loaders of the samples that train, that decide and that test."""
    data, fold = experiment.data, config.parent.fold
    samples = split_of(experiment, fold, config.recipe.seed)
    train = place(data.train, experiment.session.device)
    test = place(data.test, experiment.session.device)
    return (
        experiment.loader(train, samples.train, fold, is_training=True),
        experiment.loader(train, samples.valid, fold, is_training=False),
        experiment.loader(test, experiment.test_samples, fold, is_training=False),
    )
