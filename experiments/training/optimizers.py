"""The optimizer that a configuration names."""

from inspect import Parameter, signature
from typing import Any

from torch import optim
from torch.optim import Optimizer

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.training.config import TrainingConfig
from quantlab.algorithms.eager_optimizer import eager


def create_optimizer(
    config: TrainingConfig, document: Document, groups: list[dict[str, Any]], num_ranks: int
) -> Optimizer:
    """Create the optimizer of groups of parameters. Raises UsageError for what does not fit."""
    path = ("training", "optimizer")
    spec = config.optimizer
    factory = find_class(spec, [optim], (Optimizer,), document, path)
    if signature(factory.step).parameters["closure"].default is Parameter.empty:
        message = f"{spec.name} evaluates the loss several times a step, which training does not"
        raise complain(document, (*path, "class"), message)
    factory = factory if config.compile else eager(factory)
    optimizer: Optimizer = create(factory, spec, document, path, {"params": groups})
    if config.lr_scaling == "linear":
        for group in optimizer.param_groups:
            group["lr"] *= num_ranks
    return optimizer
