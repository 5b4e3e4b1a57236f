"""Controllers: what happens to a network under training besides the steps of the optimizer.

A controller is told when an epoch or a step begins or ends and acts on the quantizers it was made
for. Whatever it does is a function of the time in the context, of its state and of the state of the
network, so that a run resumed anywhere goes on to the same bytes: any hook may be called again for
a time it has already seen.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError

ReduceOp = Literal["sum", "min", "max"]
Hook = Literal["on_epoch_start", "on_step_start", "on_step_end", "on_validate"]


@runtime_checkable
class Reducer(Protocol):
    """What a controller needs of the ranks that train together."""

    @property
    def size(self) -> int: ...

    @property
    def rank(self) -> int: ...

    def all_reduce(self, tensor: Tensor, op: ReduceOp) -> Tensor:
        """Return the elementwise reduction of the ranks' tensors, the same on all ranks."""


@dataclass(frozen=True, kw_only=True)
class Alone:
    """The reducer of a process that trains by itself."""

    size: int = 1
    rank: int = 0

    def all_reduce(self, tensor: Tensor, op: ReduceOp) -> Tensor:
        return tensor


@dataclass(frozen=True, kw_only=True)
class Context:
    """When and where a hook is called.

    epoch: the current one, from 0.
    step: optimizer steps done since the run began, over all epochs.
    optimizer: None where there is none, as in calibration.
    generator: the only source of randomness a controller may use.
    """

    epoch: int
    step: int
    optimizer: torch.optim.Optimizer | None
    communicator: Reducer
    generator: torch.Generator


class Controller(ABC):
    """Base of all controllers. Hooks do nothing unless overridden; see `listening`.

    Every rank calls every hook at the same times, so hooks may use the communicator.

    learned: the parameters of the quantizers that it was made for, by name, which an optimizer has
        to train; `quantize` notes them.
    """

    learned: Mapping[str, nn.Parameter] = MappingProxyType({})

    def on_epoch_start(self, context: Context) -> None:
        """Called before the first step of an epoch, and again when resuming within it."""
        return

    def on_step_start(self, context: Context) -> None:
        """Called before the forward pass of a step. Must not wait for the device in general."""
        return

    def on_step_end(self, context: Context) -> None:
        """Called after the optimizer's step; `context.step` already counts it."""
        return

    def on_validate(self, context: Context) -> None:
        """Called before the network is validated."""
        return

    def state_dict(self) -> dict[str, Any]:
        """Return what is neither a function of the time nor state of the network (often none)."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises UsageError for an unknown entry."""
        if state:
            raise UsageError(
                f"state of {type(self).__name__}: entries {sorted(state)} given, none allowed"
            )

    @abstractmethod
    def describe(self, epoch: int) -> str:
        """Return one line on what this controller does in an epoch."""


def listening(controllers: Iterable[Controller], hook: Hook) -> list[Controller]:
    """Return the controllers that override a hook, so that the others cost a step nothing."""
    return [c for c in controllers if getattr(type(c), hook) is not getattr(Controller, hook)]
