"""What an optimizer is for networks that are not compiled."""

from collections.abc import Callable
from functools import wraps
from inspect import unwrap
from typing import TypeVar, cast

import torch
from torch.optim import Optimizer

AnOptimizer = TypeVar("AnOptimizer", bound=Optimizer)

# torch keeps its compiler away from these methods and from `step`: the first call of each imports
# torch._dynamo.
_GUARDED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


def eager(optimizer: type[AnOptimizer]) -> type[AnOptimizer]:
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
    return cast(type[AnOptimizer], type(optimizer.__name__, (optimizer,), members))
