"""What every statistic is: a config that says of which layers and when, and what it then measures.

A statistic watches one tensor of one layer during one step of the optimizer: it is made before the
forward pass, may set hooks until the step is over, and then yields its values. What several ranks
have seen of a step is merged by two reductions for all statistics together: of `peaks` by the
maximum, then of `sums` by the sum. What all ranks hold alike, such as weights, is its own maximum.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.errors import UsageError
from quantlab.graphs.select import select
from quantlab.monitor.histogram import Histogram
from quantlab.monitor.subjects import Subject
from quantlab.settings import Settings

Value = float | Histogram

DEFAULT_PERIOD = 100


class Statistic(ABC):
    """One tensor, one step. Never changes what it watches, and draws no random numbers.

    `peaks` and `sums` are vectors, float64 on the CPU, as long on all ranks, whether or not any
    samples came by.
    """

    def start(self, loss_scale: float) -> Iterable[RemovableHandle]:
        """Begin, before the forward pass. Hooks are set while the returned is iterated over, and
        removed after the step.

        loss_scale: what the loss is multiplied with before its gradients are found.
        """
        return ()

    def peaks(self) -> Tensor:
        """Return what is merged by the maximum. Called once, after the optimizer's step."""
        return torch.empty(0, dtype=torch.float64)

    def sums(self, peaks: Tensor) -> Tensor:
        """Return what is merged by the sum, given the merged peaks."""
        return torch.empty(0, dtype=torch.float64)

    @abstractmethod
    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        """Yield the values by name, "" for the only or main one; none if there is nothing to say.

        A number that is not finite has no meaning: it is not defined, or training diverges.
        """


class StatisticConfig(Settings, ABC):
    """Base of the statistics' configs; a subclass adds `stat: Literal[...]`.

    select: among the layers that the statistic is about, see `quantlab.graphs.select`.
    period: measure in every n-th step of the optimizer.
    start: steps done before the first that is measured.
    """

    subject: ClassVar[Subject]

    stat: str
    select: str = "*"
    period: int = Field(default=DEFAULT_PERIOD, ge=1)
    start: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_select(self) -> Self:
        select(self.select)
        return self

    @abstractmethod
    def statistics(self, layer: nn.Module) -> Mapping[str, Statistic]:
        """Return what measures one layer in one step, by the tensor; "" for the layer itself."""

    def is_due(self, step: int) -> bool:
        """Return whether the step that follows `step` steps is measured."""
        return step >= self.start and (step - self.start) % self.period == 0

    def layers(self, network: nn.Module) -> dict[str, nn.Module]:
        """Return the layers to measure, in the order of definition.

        Raises UsageError if the network has none of the kind, or if a part of `select` matches
        none of them.
        """
        candidates = self.subject.find(network)
        if not candidates:
            raise UsageError(
                f"stat: '{self.stat}' has no effect, the network has no {self.subject.kind}"
            )
        return select(self.select).among(candidates, self.subject.kind)
