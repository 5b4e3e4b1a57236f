"""Optimizers whose step can be recorded: their learning rates are tensors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer


def why_not_recorded(optimizer: Optimizer) -> str | None:
    """Return in words why an optimizer's step cannot be recorded, None if it can."""
    name, is_sgd = type(optimizer).__name__, isinstance(optimizer, SGD)
    if "capturable" not in optimizer.defaults and not is_sgd:
        return f"torch has no form of {name} that can be recorded"
    for group in optimizer.param_groups:
        if group.get("differentiable"):
            return f"{name} is differentiable"
        if is_sgd and (group.get("foreach") or group.get("fused") is False):
            return f"{name} can be recorded with fused: true only"
        if any(parameter.dtype == torch.float64 for parameter in group["params"]):
            return "the learning rate would be rounded to float32"
    return None


class TensorRates:
    """Lets an optimizer step with learning rates that it reads from tensors on a device.

    Between steps its groups hold numbers, as schedules and checkpoints know them.
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self._optimizer, self._device = optimizer, device
        self._flag = "fused" if isinstance(optimizer, SGD) else "capturable"
        self._rates = [torch.zeros((), device=device) for _ in optimizer.param_groups]

    def set(self) -> None:
        """Give the tensors the present rates."""
        for rate, group in zip(self._rates, self._optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the rates read from the tensors inside."""
        groups = self._optimizer.param_groups
        kept = [{name: group[name] for name in ("lr", self._flag)} for group in groups]
        for rate, group in zip(self._rates, groups, strict=True):
            group.update({"lr": rate, self._flag: True})
        try:
            yield
        finally:
            for group, before in zip(groups, kept, strict=True):
                group.update(before)

    def bring_state(self) -> None:
        """Bring what a checkpoint left on the CPU, the number of steps, to the device."""
        for state in self._optimizer.state.values():
            steps = state.get("step")
            if isinstance(steps, Tensor):
                state["step"] = steps.to(self._device)
