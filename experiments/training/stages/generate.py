"""`mlg`: the layers of a network generate their weights from small factors."""

from torch import nn

from experiments.training.stages.stage import Built, Stage
from quantlab.generation import convert
from quantlab.generation.config import MLGConfig


def apply(network: nn.Module, config: MLGConfig) -> Built:
    """Factors are random here: their projection is for a run that begins."""
    convert(network, config.model_copy(update={"projection_alg": None}))
    return network, []


GENERATE = Stage(
    section="mlg",
    is_asked=lambda config: config is not None,
    apply=apply,
    is_generated=True,
    excludes={"prune": "prune"},
)
