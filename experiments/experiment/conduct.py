"""From a document to a finished run: what `train` and `resume` share."""

import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from typing import Any

from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.experiment.alike import check_alike
from experiments.experiment.beginning import check_projection, shared_original
from experiments.experiment.config import Config, as_plain
from experiments.experiment.data import load_data
from experiments.experiment.distillation import check_criterion, check_shared
from experiments.experiment.experiment import Experiment
from experiments.experiment.folds import run_folds
from experiments.experiment.prolonging import lengths
from experiments.experiment.record import circumstances, new_record
from experiments.experiment.session import session_of
from experiments.experiment.shared_folder import shared_folder
from experiments.library import HOME, Library, Problem
from experiments.processes.communicator import RankLostError
from experiments.processes.ending import end_within
from experiments.processes.session import Session
from experiments.progress import error_console
from experiments.runs import sources
from experiments.runs.folder import Lock, RunFolder, create_run
from experiments.runs.logbook import rank_log
from experiments.storage import ensure_links
from experiments.training.config import ExperimentConfig
from experiments.training.interruption import terminated_as_interrupted
from quantlab.errors import QuantLabError

# Libraries may wait for a lost process once more before the program ends.
_SECONDS_TO_END = 20.0
INTERRUPTED = 128 + signal.SIGINT


def prepare(
    problem: Problem,
    library: Library,
    document: Document,
    config: Config,
    dist: str | None,
    *,
    is_quick: bool = False,
) -> Experiment:
    """Join the processes, read the data, build the network once. Raises UsageError, DataError."""
    check_criterion(config, document)
    session = session_of(config.experiment, dist)
    check_alike(session, config, library)
    experiment = Experiment(
        problem=problem,
        library=library,
        config=config,
        document=document,
        data=load_data(problem, config.data, session.communicator),
        session=session,
        is_quick=is_quick,
    )
    session.communicator.on_all(experiment.check)
    check_shared(experiment.teacher, session.communicator)
    return experiment


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """A run that goes on.

    changes: those of its code that are accepted. longer: its whole configuration from now on, if it
    is made longer; then all its folds go on.
    """

    folder: RunFolder
    changes: Sequence[sources.Change] = ()
    longer: Config | None = None


class _Claim:
    """A run's folder, made or opened, and locked while rank 0 works in it."""

    def __init__(self, experiment: Experiment, resumption: Resumption | None) -> None:
        self._experiment, self._resumption = experiment, resumption
        self._lock: Lock | None = None

    def take(self) -> RunFolder:
        """Lock the folder, and note in its record who works in it. Raises UsageError; a folder that
        was made is then gone."""
        ensure_links(self._experiment.problem)
        if self._resumption is not None:
            return self._go_on(self._resumption)
        folder = create_run(self._experiment.problem.name, self._experiment.problem.logs_folder)
        try:
            self._begin(folder)
        except QuantLabError:
            self.give_up(folder)
            raise
        return folder

    def _begin(self, folder: RunFolder) -> None:
        self._lock = Lock(folder.path)
        folder.write_config(as_plain(self._experiment.config))
        kept = sources.keep(folder, self._experiment.library.sources)
        folder.update(**new_record(folder, self._experiment), **{sources.KEY: kept})

    def _go_on(self, resumption: Resumption) -> RunFolder:
        folder = resumption.folder
        self._lock = Lock(folder.path)
        record = folder.record()
        entries: dict[str, Any] = {}
        before = record.get(sources.KEY)
        if before is None or resumption.changes:
            code = self._experiment.library.sources
            entries[sources.KEY] = sources.keep(folder, code, before)
        if resumption.changes:
            entries[sources.CHANGED] = sources.noted(record, resumption.changes)
        now = circumstances(self._experiment.session)
        if resumption.longer is not None:
            before = validate(ExperimentConfig, Document(values=record["config"]["experiment"]))
            now["prolonged"] = lengths(before, resumption.longer.experiment)
            config = as_plain(resumption.longer)
            folder.write_config(config)
            entries |= {"config": config, "folds": [], "metrics": {}, "weights_sha256": None}
        resumed = [*record.get("resumed", []), now]
        folder.update(status="running", exit_code=None, resumed=resumed, **entries)
        return folder

    def give_up(self, folder: RunFolder) -> None:
        """Remove a folder that was made."""
        self.release()
        shutil.rmtree(folder.path, ignore_errors=True)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _claimed(
    claim: _Claim, experiment: Experiment, resumption: Resumption | None
) -> tuple[RunFolder, Logger]:
    """Return the run's folder, held by rank 0 and seen by all hosts, and this rank's log in it."""
    communicator, logs = experiment.session.communicator, experiment.problem.logs_folder
    if resumption is not None:
        folder = shared_folder(resumption.folder, logs, communicator)
        log = communicator.on_all(lambda: rank_log(folder.path, communicator.rank))
        communicator.from_root(claim.take)
        return folder, log
    made = communicator.from_root(claim.take)
    try:
        folder = shared_folder(made, logs, communicator)
        return folder, communicator.on_all(lambda: rank_log(folder.path, communicator.rank))
    except QuantLabError:
        if communicator.is_root:
            claim.give_up(made)
        raise


def conduct(
    experiment: Experiment, resumption: Resumption | None = None, notes: Sequence[str] = ()
) -> int:
    """Run the experiment in a new folder, or go on with a run; return the exit code.

    notes: lines that are told at the start.
    """
    session = experiment.session
    if resumption is None:
        shared_original(experiment)
        session.communicator.on_all(lambda: check_projection(experiment))
    claim = _Claim(experiment, resumption)
    folder, log = _claimed(claim, experiment, resumption)
    log.info("rank %d: %s", session.communicator.rank, session.describe())
    session.communicator.limit_waits()

    def tell(line: str) -> None:
        session.say(line)
        log.info("%s", line)

    status, code, is_agreed = "failed", 1, True
    try:
        _introduce(experiment, folder)
        for note in notes:
            tell(note)
        with terminated_as_interrupted():
            is_done = run_folds(experiment, folder, tell, is_resumed=resumption is not None)
        status, code = ("done", 0) if is_done else ("interrupted", INTERRUPTED)
    except QuantLabError as error:
        code = error.exit_code
        log.error("%s", error)
        if isinstance(error, RankLostError):
            end_within(_SECONDS_TO_END, code)
        if not session.communicator.is_root:  # main.py speaks for rank 0 alone
            error.is_told = True
            error_console.print(f"rank {session.communicator.rank}: {error}", markup=False)
        raise
    except KeyboardInterrupt:
        status, code, is_agreed = "interrupted", INTERRUPTED, False
    except BaseException:
        log.error("%s", traceback.format_exc())
        raise
    finally:
        if session.communicator.is_root:
            with suppress(QuantLabError):  # a full disk is already being told
                folder.update(status=status, exit_code=code)
            claim.release()
    if code == INTERRUPTED and is_agreed:
        session.communicator.barrier()  # launchers end all processes once one has ended
    _conclude(session, experiment, folder, code)
    session.communicator.close()
    return code


def _introduce(experiment: Experiment, folder: RunFolder) -> None:
    """Print the first lines of a run."""
    session = experiment.session
    words = [folder.name, experiment.library.name, experiment.config.experiment.name]
    words += ["quick"] * experiment.is_quick
    session.say("  ".join(word for word in words if word))
    session.say(f"data: {experiment.data.source}; {session.describe()}")
    if experiment.teacher is not None:
        session.say(f"teacher: {experiment.teacher}")


def _conclude(session: Session, experiment: Experiment, folder: RunFolder, code: int) -> None:
    """Print the last lines of a run."""
    logs = _shown(experiment.problem.logs_folder)
    if code == INTERRUPTED:
        problem = experiment.problem.name
        session.say(f"interrupted; go on with: python main.py resume --problem={problem} "
                    f"--exp_id={folder.exp_id}")  # fmt: skip
        return
    if not session.communicator.is_root:
        return
    metrics = folder.record()["metrics"]
    used, whole = len(experiment.test_samples), len(experiment.data.test)
    count = f"{used:,}{f' of {whole:,}' if used < whole else ''} test samples"
    kind = "synthetic " if experiment.data.source.startswith("synthetic") else ""
    if "test/top1" in metrics:
        top1 = _number(metrics["test/top1"], ".2f")
        session.say(f"test accuracy (top-1): {top1} % on {kind}{count}")
    else:
        tested = {k: v for k, v in metrics.items() if k.startswith("test/")}
        values = "  ".join(f"{name} {_number(value, '.4g')}" for name, value in tested.items())
        session.say(f"test: {values} on {kind}{count}")
    session.say(f"run folder: {logs / folder.path.name}")
    session.say(f"{_shown(Path(sys.executable).with_name('tensorboard'))} --logdir {logs}")


def _number(value: float | None, form: str) -> str:
    """Return a metric of a record, which has null where it is not finite."""
    return "no number" if value is None else format(value, form)


def _shown(path: Path) -> Path:
    """Return a path as it is shortest from the checkout."""
    return path.relative_to(HOME) if path.is_relative_to(HOME) else path
