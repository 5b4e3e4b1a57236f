"""Measuring a network while it is trained.

    monitor = Monitor(network)
    monitor.add(SqnrConfig(select="conv*", period=100))
    for step, batch in enumerate(batches):
        monitor.start_step(step)
        ...                                     # forward, backward, optimizer.step()
        for reading in monitor.end_step():
            print(reading.tag, reading.value)

In a step in which nothing is due, no hook is set. Nothing that is measured changes the training, to
the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from quantlab.controller import Alone, ReduceOp, Reducer
from quantlab.errors import UsageError
from quantlab.monitor.statistic import Statistic, StatisticConfig, Value


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One value of one layer in one step. part: of which tensor, and which of several values."""

    layer: str
    stat: str
    part: str
    value: Value

    @property
    def name(self) -> str:
        """What distinguishes the reading from the layer's others: `sqnr/weight`."""
        return _joined(self.stat, self.part)

    @property
    def tag(self) -> str:
        """What distinguishes it from the network's others: `sqnr/features.conv1/weight`."""
        return _joined(self.stat, self.layer, self.part)


@dataclass(frozen=True, kw_only=True)
class _Watch:
    layer: str
    stat: str
    tensor: str
    statistic: Statistic


class Monitor:
    """Measures what was added, when it is due."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._entries: list[tuple[StatisticConfig, dict[str, nn.Module]]] = []
        self._watches: list[_Watch] = []
        self._hooks: list[RemovableHandle] = []

    def add(self, config: StatisticConfig) -> None:
        """Measure one statistic more.

        Raises UsageError if it has no effect on this network, if a part of its selector matches
        nothing, or if it was added already for the same layers.
        """
        layers = config.layers(self._network)
        for other, others_layers in self._entries:
            if other.stat == config.stat and others_layers.keys() == layers.keys():
                raise UsageError(
                    f"select: '{config.select}' given for {config.stat}, but '{other.select}' "
                    "selects the same layers for it already"
                )
        self._entries.append((config, layers))

    @property
    def stats(self) -> list[str]:
        """The names of the statistics that were added."""
        return list(dict.fromkeys(config.stat for config, _ in self._entries))

    def is_due(self, step: int) -> bool:
        """Return whether anything is measured in the step that follows `step` steps."""
        return any(config.is_due(step) for config, _ in self._entries)

    def start_step(self, step: int, loss_scale: float = 1.0) -> None:
        """Call before the forward pass of a step.

        step: how many were done before. loss_scale: what the loss is multiplied with, 1 without
        scaling. All ranks call it alike.
        """
        self._remove_hooks()
        due = {
            (config.stat, name): (config, layer)
            for config, layers in self._entries
            if config.is_due(step)
            for name, layer in layers.items()
        }
        self._watches = [
            _Watch(layer=name, stat=stat, tensor=tensor, statistic=statistic)
            for (stat, name), (config, layer) in due.items()
            for tensor, statistic in config.statistics(layer).items()
        ]
        # All begin before the first sets its hooks: some copy what others set hooks on.
        begun = [watch.statistic.start(loss_scale) for watch in self._watches]
        self._hooks = [hook for hooks in begun for hook in hooks]

    @torch.no_grad()
    def end_step(self, communicator: Reducer | None = None) -> list[Reading]:
        """Call after the optimizer's step; return what was measured, the same on all ranks."""
        if not self._watches:
            return []
        self._remove_hooks()
        watches, self._watches = self._watches, []
        communicator = communicator or Alone()
        own = [watch.statistic.peaks() for watch in watches]
        peaks = _merged(own, "max", communicator)
        own = [w.statistic.sums(peak) for w, peak in zip(watches, peaks, strict=True)]
        sums = _merged(own, "sum", communicator)
        return [
            Reading(layer=w.layer, stat=w.stat, part=_joined(w.tensor, name), value=value)
            for w, peak, total in zip(watches, peaks, sums, strict=True)
            for name, value in w.statistic.values(peak, total)
        ]

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _merged(own: Sequence[Tensor], op: ReduceOp, communicator: Reducer) -> Sequence[Tensor]:
    """Return the tensors, [K] each, reduced over the ranks with one reduction."""
    flat = torch.cat(list(own))
    if communicator.size == 1 or not flat.numel():
        return own
    pieces: Sequence[Tensor] = communicator.all_reduce(flat, op).split([t.numel() for t in own])
    return pieces


def _joined(*words: str) -> str:
    return "/".join(word for word in words if word)
