"""Runs of the rows: trained by the lab's own trainer, read back from their folders."""

import sys
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.generation import network as networks
from experiments.configuration.documents import Document
from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.assembly import build_network
from experiments.experiment.conduct import INTERRUPTED, Resumption, conduct, prepare
from experiments.experiment.config import Config, as_plain, without_pretrained
from experiments.experiment.early import EarlyConfig
from experiments.experiment.quick import quick
from experiments.library import Library, load_library, load_problem
from experiments.runs.checkpoints import LAST, Checkpoints
from experiments.runs.folder import RunFolder, is_held, list_runs

PROBLEM, TOPOLOGY = "CIFAR10", "ResNet"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run. top1: on the test photos, of the last epoch."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def top1(self) -> float:
        return float(self.record["metrics"]["test/top1"])

    @property
    def checkpoint(self) -> Path:
        return self.folder / "fold0" / "saves" / f"{LAST}.ckpt"


def train(config: str, settings: Mapping[str, str], *, is_quick: bool = False) -> Run:
    """Train one of our networks as `main.py train` trains a topology's, in this process.

    A run of the same configuration that was killed or interrupted goes on, one that is done is
    returned; a quick one is always new. Raises QuantLabError if it fails, SystemExit if it is
    interrupted.
    """
    problem, library = load_problem(PROBLEM), _library()
    document, config_of = _resolved(config, settings, is_quick=is_quick)
    folder = None if is_quick else _begun(config_of)
    if folder is not None and folder.record()["status"] == "done":
        return _read(folder)
    resumption = None if folder is None else Resumption(folder=folder)
    now = config_of
    if folder is not None and Checkpoints(folder.fold(0) / "saves").has(LAST):
        now = without_pretrained(config_of)
    before = {run.exp_id for run in _runs()}
    experiment = prepare(problem, library, document, now, None, is_quick=is_quick)
    code = conduct(experiment, resumption)
    if code == INTERRUPTED:
        sys.exit(code)
    if code:
        raise RuntimeError(f"{now.experiment.name}: ended with exit code {code}")
    return _read(folder or _made(config_of, before))


def _runs() -> list[RunFolder]:
    problem = load_problem(PROBLEM)
    return list_runs(problem.name, problem.logs_folder)


def _begun(config: Config) -> RunFolder | None:
    """Return the last run of a configuration that nobody works on."""
    for run in reversed(_runs()):
        if run.config_file.exists() and _is_of(run, config) and not is_held(run.path):
            return run
    return None


def _made(config: Config, before: Container[int]) -> RunFolder:
    """Return the run of a configuration that was not there before."""
    return next(run for run in _runs() if run.exp_id not in before and _is_of(run, config))


def _is_of(run: RunFolder, config: Config) -> bool:
    return (run.path / "run.json").exists() and run.record()["config"] == as_plain(config)


def trained_network(run: Run, config: str, settings: Mapping[str, str]) -> nn.Module:
    """Return a network with the weights of its run's end, in evaluation mode."""
    document, resolved = _resolved(config, settings, is_quick=False)
    network, _ = build_network(load_problem(PROBLEM), _library(), resolved, document, seed=0)
    network.load_state_dict(network_state(run))
    return network.eval()


def network_state(run: Run) -> dict[str, Tensor]:
    """Return the network's state of a run's end."""
    saved = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = saved["network"]
    return state


def _resolved(
    config: str, settings: Mapping[str, str], *, is_quick: bool
) -> tuple[Document, Config]:
    overrides = [parse_override(name, value) for name, value in settings.items()]
    document = resolve(PROBLEM, TOPOLOGY, config, overrides)
    if is_quick:
        document = quick(document, validate(EarlyConfig, document))
    return document, validate(Config, document)


def _library() -> Library:
    return replace(load_library(PROBLEM, TOPOLOGY), network=networks, loss=networks)


def _read(folder: RunFolder) -> Run:
    return Run(folder=folder.path, record=folder.record())
