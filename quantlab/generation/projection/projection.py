"""A weight projected on generated ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.spec import FactorName


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Factors of a weight; shapes as of `factor_shapes`.

    latent: the numbers that were rounded, each nearer to its own level than to another: training
        can start from them.
    factors: on the grid, codes times scales.
    codes: int32; zeros of a factor of floats.
    scales: a scalar of each factor that is on a grid.
    error: |W - generated| / |W|.
    """

    latent: Factors
    factors: Factors
    codes: Factors
    scales: Mapping[FactorName, Tensor]
    error: float
