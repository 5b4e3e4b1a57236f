"""A network as its configuration describes it: created, loaded, changed stage by stage."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.data.draws import derive_seed
from experiments.library import Library
from experiments.training.config import NetworkConfig
from experiments.training.pretrained import PretrainedWeights
from experiments.training.random_state import seed_everything
from experiments.training.stages.stage import Stage
from experiments.training.stages.table import STAGES
from quantlab.controller import Controller


def build(
    library: Library,
    config: NetworkConfig,
    sections: Mapping[str, Any],
    document: Document,
    seed: int,
    weights: PretrainedWeights | None = None,
) -> tuple[nn.Module, list[Controller]]:
    """Create a network from its seed, load pretrained weights, apply the stages.

    sections: of the configuration, by the names that the stages have. weights: of a network that
    went through stages itself are loaded last; those of a pruned one are also taken by a network
    that is not, with zeros between them, and those of a generated one by a dense network. Raises
    UsageError for what does not fit.
    """
    asked = [stage for stage in STAGES if stage.is_asked(sections[stage.section])]
    seed_everything(derive_seed(seed, "network"))
    factory = find_class(config, [library.network], (nn.Module,), document, ("network",))
    network: nn.Module = create(factory, config, document, ("network",))
    if weights and not any(stage.is_generated for stage in asked):
        weights = weights.without_factors()
    if weights and not any(stage.is_sparse for stage in asked):
        weights = weights.made_dense(network)
    are_of_changed = bool(weights and asked and not weights.fit(network))
    _load(network, weights, is_due=not are_of_changed)
    _check_excluded(asked, document)
    controllers: list[Controller] = []
    for stage in asked:
        network, added = stage.apply(network, sections[stage.section])
        controllers += added
    if weights:
        weights.check_generated(network)
    _load(network, weights, is_due=are_of_changed)
    return network, controllers


def _load(network: nn.Module, weights: PretrainedWeights | None, *, is_due: bool) -> None:
    if weights is not None and is_due:
        weights.load(network)


def _check_excluded(asked: list[Stage], document: Document) -> None:
    names = {stage.section for stage in asked}
    for stage in asked:
        for section, shown in stage.excludes.items():
            if section in names:
                message = f"given beside {shown}; one of them allowed"
                raise complain(document, (stage.section,), message)
