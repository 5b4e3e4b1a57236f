"""Runs of the rows: trained by the lab's own trainer, read back from their folders."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.generation import network as networks
from experiments.configuration.documents import Document
from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.assembly import build_network
from experiments.experiment.conduct import conduct, prepare
from experiments.experiment.config import Config
from experiments.experiment.early import EarlyConfig
from experiments.experiment.quick import quick
from experiments.library import Library, load_library, load_problem
from experiments.runs.checkpoints import LAST
from experiments.runs.folder import RunFolder, list_runs, open_run

PROBLEM, TOPOLOGY = "CIFAR10", "ResNet"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run. top1: on the test photos, of the last epoch."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def exp_id(self) -> int:
        return int(str(self.record["id"]).rpartition("exp")[2])

    @property
    def top1(self) -> float:
        return float(self.record["metrics"]["test/top1"])

    @property
    def checkpoint(self) -> Path:
        return self.folder / "fold0" / "saves" / f"{LAST}.ckpt"


def run_of(exp_id: int) -> Run:
    """Return the run of a number. Raises UsageError if there is none."""
    problem = load_problem(PROBLEM)
    return _read(open_run(problem.name, problem.logs_folder, exp_id))


def train(config: str, settings: Mapping[str, str], *, is_quick: bool = False) -> Run:
    """Run `main.py train`. Raises RuntimeError if it fails."""
    options = [f"--problem={PROBLEM}", f"--topology={TOPOLOGY}", f"--config={config}"]
    options += ["--quick"] * is_quick
    said = main("train", *options, *(f"--{name}={value}" for name, value in settings.items()))
    folder = re.search(r"run folder: (\S+)", said)
    if folder is None:
        raise RuntimeError(f"train: no run folder told: {said[-2000:]}")
    path = CHECKOUT / folder[1]
    return Run(folder=path, record=json.loads((path / "run.json").read_text()))


def train_here(config: str, settings: Mapping[str, str], *, is_quick: bool = False) -> Run:
    """Train one of our networks as `main.py train` trains a topology's, in this process. Raises
    QuantLabError if it fails."""
    problem, library = load_problem(PROBLEM), _library()
    document, resolved = _resolved(config, settings, is_quick=is_quick)
    experiment = prepare(problem, library, document, resolved, None, is_quick=is_quick)
    before = {run.exp_id for run in list_runs(problem.name, problem.logs_folder)}
    code = conduct(experiment)
    if code:
        raise RuntimeError(f"{resolved.experiment.name}: ended with exit code {code}")
    made = [
        run
        for run in list_runs(problem.name, problem.logs_folder)
        if run.exp_id not in before
        and run.record()["config"]["experiment"]["name"] == resolved.experiment.name
    ]
    return _read(made[-1])


def trained_network(run: Run, config: str, settings: Mapping[str, str]) -> nn.Module:
    """Return a rival's network with the weights of its run's end, in evaluation mode."""
    document, resolved = _resolved(config, settings, is_quick=False)
    network, _ = build_network(load_problem(PROBLEM), _library(), resolved, document, seed=0)
    saved = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(saved["network"])
    return network.eval()


def main(command: str, *options: str) -> str:
    """Run a command of main.py; return what it says. Raises RuntimeError if it fails."""
    line = [sys.executable, "main.py", command, *options]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


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
