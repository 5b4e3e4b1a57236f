"""Which channels of the tensors in a graph belong together: such that can only go as one.

Each tensor that layers have made has one axis of channels. Two channels belong together where they
are the same one, before and behind an activation or a flattening, and where one cannot go without
the other: those at one index of two tensors that are added, the input and output of a depthwise
filter, all of a group of a grouped convolution. A channel is pinned if it cannot go at all: those
of the network's inputs and outputs, and of all that anything unknown reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import fx

from quantlab.compression.channels.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The channels of a tensor: the axis, and which channel lies at each index along it."""

    axis: int
    ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The channels that a layer reads, None if they are pinned, and makes."""

    inputs: tuple[int, ...] | None
    outputs: tuple[int, ...]


@dataclass(kw_only=True)
class Channels:
    """The channels of a graph. Those that belong together have one root.

    kinds: of all nodes. tensors: those that have channels; others are pinned as a whole. layers:
    those that can be cut.
    """

    kinds: dict[fx.Node, Kind] = field(default_factory=dict)
    tensors: dict[fx.Node, Labels] = field(default_factory=dict)
    layers: dict[fx.Node, Connection] = field(default_factory=dict)
    _parent: list[int] = field(default_factory=list)
    _pinned: set[int] = field(default_factory=set)

    def fresh(self, count: int) -> tuple[int, ...]:
        """Return so many new channels."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return tuple(range(first, first + count))

    def root(self, channel: int) -> int:
        """Return the one that stands for all channels that belong together."""
        while (parent := self._parent[channel]) != channel:
            self._parent[channel] = self._parent[parent]
            channel = self._parent[channel]
        return channel

    def unite(self, first: Iterable[int], second: Iterable[int]) -> None:
        """Note that channels belong together, pair by pair."""
        for one, other in zip(first, second, strict=True):
            self._parent[self.root(other)] = self.root(one)

    def pin(self, channels: Iterable[int]) -> None:
        """Note that channels cannot go."""
        self._pinned.update(channels)

    def pinned(self) -> set[int]:
        """Return the roots that cannot go."""
        return {self.root(channel) for channel in self._pinned}
