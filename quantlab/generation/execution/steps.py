"""The steps of a traced network in evaluation: what is computed at once.

    Convolve    a convolution or Linear, the batch norm behind it, a residual, bounds
    Pool        the maximum or mean of windows, or the mean of all pixels
    Add         a sum, bounds
    Concat      tensors one after the other along channels

Bounds are those of ReLU and the like: what is beyond them becomes the bound.

A step stands for several nodes of the graph. Whatever else a graph calls is no step.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import fx

from quantlab.generation.execution.folded import Folded

PoolKind = Literal["max", "mean", "global_mean"]
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)


@dataclass(kw_only=True, eq=False)
class Convolve:
    """A layer. residual: what is added before bounds. is_norm: a batch norm that stands alone, as a
    depthwise convolution. nodes: of the graph, the last is the output."""

    layer: Folded
    is_norm: bool = False
    input: fx.Node
    residual: fx.Node | None = None
    bounds: Bounds = UNBOUNDED
    nodes: list[fx.Node] = field(default_factory=list)

    @property
    def inputs(self) -> list[fx.Node]:
        """What the step reads."""
        return [self.input] if self.residual is None else [self.input, self.residual]


@dataclass(kw_only=True, eq=False)
class Pool:
    """A pooling; sizes are those of height and width. counts_padding: in means."""

    kind: PoolKind
    input: fx.Node
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    counts_padding: bool = True
    nodes: list[fx.Node] = field(default_factory=list)

    @property
    def inputs(self) -> list[fx.Node]:
        """What the step reads."""
        return [self.input]


@dataclass(kw_only=True, eq=False)
class Add:
    """A sum of two tensors of one shape."""

    inputs: list[fx.Node]
    bounds: Bounds = UNBOUNDED
    nodes: list[fx.Node] = field(default_factory=list)


@dataclass(kw_only=True, eq=False)
class Concat:
    """See the module."""

    inputs: list[fx.Node]
    nodes: list[fx.Node] = field(default_factory=list)


Step = Convolve | Pool | Add | Concat
