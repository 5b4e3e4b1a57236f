"""Alternating least squares on grids: each factor is rounded, the others make up for it.

One factor after another is put on its grid with error feedback (`rounding.py`), and those that are
not yet there are refit to what came out. Then factors on the grid are solved for and rounded again
in turn. From there, in each round, one factor is held, the other two are let go, refit together and
rounded anew: which leaves codes that no single step would leave. The best of all is kept.
"""

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.equations import Equations, equations_of, present, rows_of
from quantlab.generation.projection.gauge import gauged
from quantlab.generation.projection.on_grid import Levels, OnGrid, unrounded
from quantlab.generation.projection.rounding import rounded, scale_grid
from quantlab.generation.spec import FactorName

_RIDGE = 1e-7
_NEAR = (0.8, 0.9, 1.0, 1.1, 1.2)  # of a scale that was found before
_REFITS = 3
_SETTLING = 2


def qals(weight: Tensor, start: Factors, levels: Levels, *, rounds: int) -> OnGrid:
    """Return factors on the grids of `levels`; those that have none stay floats.

    weight: `[Co, Ci, S]`; start: of `als`, at least one level; rounds: of letting factors go.
    """
    names = present(start)
    search = _Search(weight, levels)
    state = unrounded(gauged(start, "coeff_out"))
    del start  # as large as what is found
    state = search.settle(search.round_all(state, names))
    for index in range(rounds if len(names) > 1 else 0):
        held = index % len(names)
        free = names[held + 1 :] + names[:held]
        if index % 2:
            free = free[::-1]
        state = search.settle(search.round_all(state, free))
    assert search.best is not None
    return search.best


class _Search:
    """Keeps the best state that was met."""

    def __init__(self, weight: Tensor, levels: Levels) -> None:
        self._weight = weight
        self._levels = levels
        self._least = torch.full((), torch.inf, dtype=torch.float64, device=weight.device)
        self.best: OnGrid | None = None

    def round_all(self, state: OnGrid, names: tuple[FactorName, ...]) -> OnGrid:
        """Return the state with these factors refit together, then rounded one by one."""
        for index, name in enumerate(names):
            state = self._refit(state, names[index:])
            state, _ = self._round(state, name, None)
        return state

    def settle(self, state: OnGrid) -> OnGrid:
        """Return the state after some turns of all factors, each solved for and rounded."""
        for _ in range(_SETTLING):
            for name in state.scales:
                state, loss = self._round(state, name, state.scales[name])
                if bool(loss < self._least):
                    self._least, self.best = loss, state
        return state

    def _round(
        self, state: OnGrid, name: FactorName, scale: Tensor | None
    ) -> tuple[OnGrid, Tensor]:
        """Round one factor. scale: the one it had, None: all are tried."""
        equations, rows = self._solved(state, name)
        levels = self._levels.get(name)
        if levels is None:
            return state.with_free(name, rows), equations.loss(rows)
        if scale is None:
            scales = scale_grid(rows, levels)
        else:
            scales = scale * torch.tensor(_NEAR, dtype=rows.dtype, device=rows.device)
        done = rounded(equations, rows, levels, scales, self._weight.numel())
        return state.with_rounded(name, rows, done, levels), done.loss

    def _refit(self, state: OnGrid, names: tuple[FactorName, ...]) -> OnGrid:
        """Return the state with several factors off the grid, the best ones beside the others."""
        for _ in range(_REFITS if len(names) > 1 else 0):
            for name in names:
                _, rows = self._solved(state, name)
                state = state.with_free(name, rows)
        return state

    def _solved(self, state: OnGrid, name: FactorName) -> tuple[Equations, Tensor]:
        factors = state.factors
        equations = equations_of(name, self._weight, factors)
        return equations, equations.solve(rows_of(name, factors), _RIDGE)
