"""run.json: what a run is, from its first moment on, and the metrics of its folds."""

import math
import time
from typing import Any

from experiments.configuration.schema import as_plain
from experiments.experiment import Experiment
from experiments.runs import environment
from experiments.runs.folder import SCHEMA_VERSION, RunFolder


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


def summary(folds: list[dict[str, float]]) -> dict[str, float]:
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
