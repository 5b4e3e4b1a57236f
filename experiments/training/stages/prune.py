"""`prune`: the layers of a network keep a part of their weights."""

from torch import nn

from experiments.training.stages.stage import Built, Stage
from quantlab.sparse.config import PruneConfig, prune


def apply(network: nn.Module, config: PruneConfig) -> Built:
    return prune(network, config), []


PRUNE = Stage(
    section="prune",
    is_asked=lambda config: config is not None,
    apply=apply,
    is_sparse=True,
    excludes={"quantize": "quantize.rules"},
)
