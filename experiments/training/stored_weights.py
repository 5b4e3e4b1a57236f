"""The weights that another run, or a file, holds."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.library import Problem
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.folder import RunFolder, open_run
from quantlab.errors import UsageError


def open_other_run(problem: Problem, exp_id: int, section: str) -> RunFolder:
    """Return the run that `section` of a configuration names. Raises UsageError."""
    try:
        return open_run(problem.name, problem.logs_folder, exp_id)
    except UsageError as error:
        raise UsageError(f"{section}.exp_id: {error}") from error


def checkpoints_of(run: RunFolder, fold: int, section: str) -> Checkpoints:
    """Return the checkpoints of a run's fold. Raises UsageError with the folds that there are."""
    if not run.fold(fold).is_dir():
        there = sorted(int(path.name.removeprefix("fold")) for path in run.path.glob("fold*"))
        known = ", ".join(map(str, there)) or "none yet"
        raise UsageError(f"{section}.fold: {fold} given; {run.name} has fold {known}")
    return Checkpoints(run.fold(fold) / "saves")


def read_file(path: Path, key: str) -> Any:
    """Return what a file holds that torch wrote. key: that names it, for errors."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{key}: {path}: {error.strerror}") from error
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise UsageError(f"{key}: {path} is no checkpoint of tensors") from error


def weights_in(saved: Any, origin: str, key: str) -> dict[str, Tensor]:
    """Return a network's weights, their moving averages if there are any, of one of our checkpoints
    or of a state dict. Raises UsageError if it holds none."""
    is_ours = isinstance(saved, dict) and isinstance(saved.get("network"), dict)
    state = (saved.get("ema") or saved["network"]) if is_ours else saved
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise UsageError(f"{key}: {origin} holds no network weights")
    return state
