"""Factors whose elements are codes times a scale, and the numbers that they were rounded from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.projection.equations import present, rows_of, with_rows
from quantlab.generation.projection.rounding import Rounded
from quantlab.generation.spec import FactorName

Levels = Mapping[FactorName, Sequence[int]]
_INSIDE = 0.98


@dataclass(frozen=True, kw_only=True)
class OnGrid:
    """codes: int32, of factors that are not rounded float64; latent: float32, of these float64; B
    as `[R, L, S]`; scales: one of each factor, float64.

    latent lies in the cell of its code, half a step about the level, so that it is rounded to it.
    """

    codes: Factors
    scales: Mapping[FactorName, Tensor]
    latent: Factors

    @property
    def factors(self) -> Factors:
        """The elements: codes times scales."""
        return scaled(self.codes, self.scales)

    def with_rounded(
        self, name: FactorName, rows: Tensor, done: Rounded, levels: Sequence[int]
    ) -> "OnGrid":
        """Return it with one factor anew. rows: what was rounded."""
        return OnGrid(
            codes=with_rows(name, self.codes, done.codes.to(torch.int32)),
            scales={**self.scales, name: done.scale},
            latent=with_rows(name, self.latent, _in_cells(rows, done, levels).float()),
        )

    def with_free(self, name: FactorName, rows: Tensor) -> "OnGrid":
        """Return it with one factor that is not rounded."""
        return OnGrid(
            codes=with_rows(name, self.codes, rows),
            scales={**self.scales, name: torch.ones_like(self.scales[name])},
            latent=with_rows(name, self.latent, rows),
        )

    def times(self, factors: Mapping[FactorName, Tensor]) -> "OnGrid":
        """Return it with scales times a number each."""
        return OnGrid(
            codes=self.codes,
            scales={name: scale * factors[name] for name, scale in self.scales.items()},
            latent=scaled(self.latent, factors),
        )


def unrounded(factors: Factors) -> OnGrid:
    """Return factors of which none is rounded: codes are the numbers, scales 1."""
    one = torch.ones((), dtype=factors.basis.dtype, device=factors.basis.device)
    return OnGrid(codes=factors, scales=dict.fromkeys(present(factors), one), latent=factors)


def scaled(factors: Factors, scales: Mapping[FactorName, Tensor]) -> Factors:
    """Return factors times a scale each."""
    made: dict[str, Tensor] = {}
    for name, scale in scales.items():
        made[name] = getattr(factors, name) * scale
    return replace(factors, **made)


def evened(state: OnGrid) -> OnGrid:
    """Return the same weight with scales that give all factors the same root mean square."""
    factors = state.factors
    sizes = {name: rows_of(name, factors).square().mean().sqrt() for name in state.scales}
    share = torch.stack([size.log() for size in sizes.values()]).mean().exp()
    by = {name: share / size for name, size in sizes.items()}
    return state.times(by) if bool(torch.isfinite(share)) and share > 0 else state


def _in_cells(rows: Tensor, done: Rounded, levels: Sequence[int]) -> Tensor:
    """Return the numbers of the cells of codes that are nearest to rows."""
    steps = torch.tensor(levels, dtype=rows.dtype, device=rows.device)
    halves = steps.diff() / 2 * _INSIDE
    index = torch.searchsorted(steps, done.codes.contiguous())
    found = rows / done.scale
    low = torch.cat([halves[:1], halves])[index].neg_().add_(done.codes)
    torch.maximum(found, low, out=found)
    del low
    high = torch.cat([halves, halves[-1:]])[index].add_(done.codes)
    return torch.minimum(found, high, out=found).mul_(done.scale)
