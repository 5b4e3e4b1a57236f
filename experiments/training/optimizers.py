"""The optimizer that a configuration names, and what it is for networks that are not compiled."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature, unwrap
from typing import Any, cast

import torch
from torch import optim
from torch.optim import Optimizer

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.training.config import TrainingConfig

# torch keeps its compiler away from these methods and from `step`: the first call of each imports
# torch._dynamo.
_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(optimizer: type[Optimizer]) -> type[Optimizer]:
    """Return a subclass of an optimizer, of the same name, that computes the same without importing
    torch._dynamo, which takes as long as importing torch."""
    plain_step = unwrap(optimizer.step)

    @wraps(plain_step)
    def step(self: Optimizer, closure: Callable[[], float] | None = None) -> float | None:
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            loss: float | None = plain_step(self, closure)
        return loss

    members = {name: unwrap(getattr(optimizer, name)) for name in _GUARDED}
    members |= {"step": step, "__module__": optimizer.__module__}
    return cast(type[Optimizer], type(optimizer.__name__, (optimizer,), members))


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
