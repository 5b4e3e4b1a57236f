"""Values: what a tensor of the network is in terms of integer tensors, before it is rounded."""

from dataclasses import dataclass, replace

import numpy as np

from quantlab.integer.lower.grid import Grid, Reals


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """scale * an integer tensor. scale: broadcasts against it."""

    tensor: str
    scale: Reals


@dataclass(frozen=True, kw_only=True, eq=False)
class Value:
    """clamp(the sum of the terms + offset, low, high).

    shape: of one sample. node: of the network, for names and errors.
    grid: if the value is one tensor, the codes of this grid, and nothing is to be clamped.
    """

    terms: tuple[Term, ...]
    offset: Reals
    shape: tuple[int, ...]
    node: str
    low: float = -np.inf
    high: float = np.inf
    grid: Grid | None = None

    @property
    def is_clamped(self) -> bool:
        return self.low > -np.inf or self.high < np.inf

    @property
    def is_uniform(self) -> bool:
        """Whether all numbers have one scale and offset, so that they may change places."""
        return len(self.terms) == 1 and self.terms[0].scale.size == self.offset.size == 1

    def affine(self, factor: Reals, offset: Reals, node: str) -> "Value":
        """Return factor * the value + offset; the value must not be clamped."""
        assert not self.is_clamped
        terms = tuple(replace(term, scale=term.scale * factor) for term in self.terms)
        return replace(
            self, terms=terms, offset=self.offset * factor + offset, node=node, grid=None
        )

    def clamped(self, low: float, high: float, node: str) -> "Value":
        """Return the value between two numbers."""
        lowest, highest = (min(max(end, low), high) for end in (self.low, self.high))
        if self.grid is not None:
            reals = (np.array([self.grid.low, self.grid.high]) - self.grid.zero_point.min()) * (
                self.grid.scale.min()
            )
            if self.grid.scale.size == 1 and low <= reals[0] and reals[1] <= high:
                return replace(self, node=node)
        return replace(self, low=lowest, high=highest, node=node, grid=None)


def codes_of(tensor: str, grid: Grid, shape: tuple[int, ...], node: str) -> Value:
    """Return a tensor of codes as the value that they stand for."""
    return Value(
        terms=(Term(tensor=tensor, scale=grid.scale),),
        offset=-grid.zero_point * grid.scale,
        shape=shape,
        node=node,
        grid=grid,
    )
