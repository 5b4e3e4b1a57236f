"""From a document to a finished run: what `train` and `resume` share."""

import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from experiments.configuration.documents import Document
from experiments.configuration.schema import Config, as_plain
from experiments.experiment import Experiment
from experiments.folds import run_folds
from experiments.library import HOME, Library, Problem
from experiments.progress import error_console
from experiments.protocols import Data
from experiments.record import circumstances, new_record
from experiments.runs.folder import Lock, RunFolder, create_run, open_run
from experiments.runs.logbook import rank_log
from experiments.session import Session, open_session
from experiments.storage import ensure_links
from experiments.training.interruption import terminated_as_interrupted
from quantlab.errors import QuantLabError

INTERRUPTED = 128 + signal.SIGINT


def prepare(
    problem: Problem,
    library: Library,
    document: Document,
    config: Config,
    dist: str | None,
) -> Experiment:
    """Join the processes, read the data, build the network once."""
    session = open_session(config.experiment, dist)
    return Experiment(
        problem=problem,
        library=library,
        config=config,
        document=document,
        data=load_data(problem, config, session),
        session=session,
    )


def load_data(problem: Problem, config: Config, session: Session) -> Data:
    """Read the data set; rank 0 alone fetches what must be fetched, before the others look."""
    if config.data.source == "synthetic":
        return problem.data.load(problem.data_folder, "synthetic")

    held: list[Data] = []

    def look() -> None:
        ensure_links(problem)
        held.append(problem.data.load(problem.data_folder, config.data.source))

    session.communicator.from_root(look)
    return session.communicator.on_all(
        lambda: held[0] if held else problem.data.load(problem.data_folder, "folder")
    )


def conduct(experiment: Experiment, exp_id: int | None) -> int:
    """Run the experiment in a new folder, or go on with run `exp_id`; return the exit code."""
    session, problem = experiment.session, experiment.problem
    held: list[Lock] = []

    def claim() -> RunFolder:
        ensure_links(problem)
        if exp_id is None:
            folder = create_run(problem.name, problem.logs_folder)
            held.append(Lock(folder.path))
            folder.write_config(as_plain(experiment.config))
            folder.update(**new_record(folder, experiment))
        else:
            folder = open_run(problem.name, problem.logs_folder, exp_id)
            held.append(Lock(folder.path))
            resumed = [*folder.record().get("resumed", []), circumstances(experiment.session)]
            folder.update(status="running", exit_code=None, resumed=resumed)
        return folder

    folder = session.communicator.from_root(claim)
    log = rank_log(folder.path, session.communicator.rank)
    log.info("rank %d: %s", session.communicator.rank, session.describe())
    session.say(
        f"{folder.name}  {experiment.library.name}  {experiment.config.experiment.name}".strip()
    )
    session.say(f"data: {experiment.data.source}; {session.describe()}")

    def tell(line: str) -> None:
        session.say(line)
        log.info("%s", line)

    status, code = "failed", 1
    try:
        with terminated_as_interrupted():
            is_done = run_folds(experiment, folder, tell, is_resumed=exp_id is not None)
        status, code = ("done", 0) if is_done else ("interrupted", INTERRUPTED)
    except QuantLabError as error:
        code = error.exit_code
        log.error("%s", error)
        if not session.communicator.is_root:  # main.py speaks for rank 0 alone
            error_console.print(f"rank {session.communicator.rank}: {error}", markup=False)
        raise
    except KeyboardInterrupt:
        status, code = "interrupted", INTERRUPTED
    except BaseException:
        log.error("%s", traceback.format_exc())
        raise
    finally:
        if session.communicator.is_root:
            with suppress(QuantLabError):  # a full disk is already being told
                folder.update(status=status, exit_code=code)
            held[0].release()
    _conclude(session, experiment, folder, code)
    session.communicator.close()
    return code


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
    count = f"{len(experiment.data.test):,} test samples"
    kind = "synthetic " if experiment.data.source.startswith("synthetic") else ""
    if "test/top1" in metrics:
        session.say(f"test accuracy (top-1): {metrics['test/top1']:.2f} % on {kind}{count}")
    else:
        values = "  ".join(f"{k} {v:.4g}" for k, v in metrics.items() if k.startswith("test/"))
        session.say(f"test: {values} on {kind}{count}")
    session.say(f"run folder: {logs / folder.path.name}")
    session.say(f"{_shown(Path(sys.executable).with_name('tensorboard'))} --logdir {logs}")


def _shown(path: Path) -> Path:
    """Return a path as it is shortest from the checkout."""
    return path.relative_to(HOME) if path.is_relative_to(HOME) else path
