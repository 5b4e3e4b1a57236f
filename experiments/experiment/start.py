"""The weights that a run starts from, also those of a run whose layers are generated."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from experiments.configuration.documents import Document
from experiments.experiment.config import Config
from experiments.experiment.stored_teacher import described_by
from experiments.library import Library, Problem
from experiments.runs.folder import RunFolder, open_run, run_around
from experiments.training.config import Pretrained
from experiments.training.network import build
from experiments.training.pretrained import SECTION, PretrainedWeights, read_pretrained
from experiments.training.weights import load_weights
from quantlab.controller import Controller
from quantlab.generation.inherit import dense_weights
from quantlab.generation.layers import generated_layers


def build_described(
    library: Library,
    config: Config,
    document: Document,
    seed: int,
    weights: PretrainedWeights | None = None,
) -> tuple[nn.Module, list[Controller]]:
    """Build the network of a configuration, in its type, and its controllers; see
    `experiments.training.network.build`."""
    sections = {name: getattr(config, name) for name in Config.model_fields}
    network, controllers = build(library, config.network, sections, document, seed, weights)
    if config.training.precision == "float64":
        network.double()
    return network, controllers


def read_start(problem: Problem, library: Library, config: Config) -> PretrainedWeights | None:
    """Read the weights that `network.pretrained` names, None if it is not given. Raises UsageError
    for what is not there or holds none.

    library: of the run that starts. The network of generated weights is built as its own run
    describes it.
    """
    source = config.network.pretrained
    if source is None:
        return None
    weights = read_pretrained(problem, source)
    run = _run_of(problem, source)
    if run is None or not weights.have_factors:
        return weights
    described = described_by(problem, library, run, f"{SECTION}: {weights.origin}")
    if described.config.mlg is None:
        return weights
    network, _ = build_described(described.library, described.config, described.document, seed=0)
    load_weights(network, weights.state, weights.origin)
    specs = {name: layer.spec for name, layer in generated_layers(network)}
    return replace(weights, dense=dense_weights(network), specs=specs)


def _run_of(problem: Problem, source: Pretrained) -> RunFolder | None:
    """Return the run that weights are of, None for a file that lies in no run's folder."""
    if source.exp_id is not None:
        return open_run(problem.name, problem.logs_folder, source.exp_id)
    return run_around(problem.name, Path(source.file or ""))
