"""The trained networks beside this file, built and loaded."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.experiment.assembly import build_network
from experiments.experiment.config import Config, without_pretrained
from experiments.library import load_library, load_problem
from experiments.training.weights import load_weights

HOME = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in HOME.glob("*.pt"))


def read(name: str) -> dict[str, Any]:
    """Return what `make` wrote: network, problem, topology, config, metrics and command."""
    saved: dict[str, Any] = torch.load(HOME / f"{name}.pt", weights_only=True)
    return saved


def network(name: str) -> nn.Module:
    """Return a trained network in evaluation mode, its quantizers as they ended."""
    saved = read(name)
    problem, library = (
        load_problem(saved["problem"]),
        load_library(saved["problem"], saved["topology"]),
    )
    document = Document(values=json.loads(saved["config"]))
    config = without_pretrained(validate(Config, document))
    built, _ = build_network(problem, library, config, document, seed=0)
    load_weights(built, saved["network"], name)
    return built.eval()
