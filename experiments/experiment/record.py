"""run.json: what a run is, from its first moment on, and the metrics of its folds."""

import math
from typing import Any

from experiments.experiment.config import as_plain
from experiments.experiment.distillation import KEY, entry_of
from experiments.experiment.experiment import Experiment
from experiments.processes.session import Session
from experiments.runs import environment
from experiments.runs.folder import SCHEMA_VERSION, RunFolder, open_run


def new_record(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """Return run.json as it stands when a run begins."""
    return {
        "schema_version": SCHEMA_VERSION,
        "id": folder.name,
        "exp_id": folder.exp_id,
        "problem": experiment.problem.name,
        "topology": experiment.library.name,
        "name": experiment.config.experiment.name,
        "config": as_plain(experiment.config),
        "quick": experiment.is_quick,
        "status": "running",
        "exit_code": None,
        "parent": _parent(experiment),
        KEY: entry_of(experiment.teacher or experiment.original),
        "metrics": {},
        "folds": [],
        "weights_sha256": None,
        "data": experiment.data.source,
        "seeds": {
            "experiment": experiment.config.experiment.seed,
            "split": experiment.config.data.split_seed,
        },
        **circumstances(experiment.session),
        "resumed": [],
        "seconds": 0.0,
    }


def circumstances(session: Session) -> dict[str, Any]:
    """Return what a run is made with and where; one that is resumed keeps it for each time."""
    return {
        "command": environment.command(),
        "git": environment.git_state(),
        "packages": environment.packages(),
        "launcher": session.communicator.launcher,
        "world_size": session.communicator.size,
        "threads": session.threads,
        "host": environment.host(),
        "started": environment.now(),
    }


def _parent(experiment: Experiment) -> str | None:
    """Return the name of the run whose weights this one starts from."""
    pretrained = experiment.config.network.pretrained
    if pretrained is None or pretrained.exp_id is None:
        return None
    problem = experiment.problem
    return open_run(problem.name, problem.logs_folder, pretrained.exp_id).name


def summary(folds: list[dict[str, Any]]) -> dict[str, float]:
    """Return the metrics of the only fold, or means over the folds with their deviations.

    A metric that is not finite, null in a record, makes both of its values NaN.
    """
    if len(folds) == 1:
        return folds[0]
    summary: dict[str, float] = {}
    for name in folds[0]:
        values = [math.nan if fold[name] is None else fold[name] for fold in folds]
        if not all(map(math.isfinite, values)):
            summary[name] = summary[f"{name}_std"] = math.nan
            continue
        mean = math.fsum(values) / len(values)
        summary[name] = mean
        variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
        summary[f"{name}_std"] = math.sqrt(variance)
    return summary
