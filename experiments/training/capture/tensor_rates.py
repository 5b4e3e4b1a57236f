"""Optimizers whose step can be recorded: their learning rates are tensors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
        self._optimizer.param_groups = [
            {**group, "params": parameters, "lr": rate, self._flag: True}
            for rate, group in zip(self._rates, groups, strict=True)
            for parameters in self._alike(group)
        ]
        try:
            yield
        finally:
            self._optimizer.param_groups = groups

    def _alike(self, group: Mapping[str, Any]) -> list[list[Tensor]]:
        """Return a group's parameters, apart those that have a momentum and those that have none:
        torch's fused SGD takes one kind at a time."""
        if not isinstance(self._optimizer, SGD) or not group["momentum"]:
            return [group["params"]]
        with_momentum: list[Tensor] = []
        without: list[Tensor] = []
        for parameter in group["params"]:
            state = self._optimizer.state.get(parameter, {})
            has_one = state.get("momentum_buffer") is not None
            (with_momentum if has_one else without).append(parameter)
        return [part for part in (with_momentum, without) if part]

    def bring_state(self) -> None:
        """Bring what a checkpoint left on the CPU, the number of steps, to the device."""
        for state in self._optimizer.state.values():
            steps = state.get("step")
            if isinstance(steps, Tensor):
                state["step"] = steps.to(self._device)
