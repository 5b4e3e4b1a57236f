"""The factors that a layer begins with in the place of a known weight."""

from collections.abc import Mapping

from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.latents import latents_of
from quantlab.generation.projection import Method, project
from quantlab.generation.spec import FactorName, MLGSpec


def projected_factors(
    weight: Tensor, spec: MLGSpec, method: Method, seed: int
) -> tuple[Factors, Mapping[FactorName, Tensor]]:
    """Return latent numbers, and the scales that their quantizers are to have, for the codes that a
    projection of a weight `[Co, Ci, ...]` finds.

    Raises UsageError for a weight that is not finite, or too large for `dorefa_sym`.
    """
    projection = project(weight, spec, method=method, seed=seed)
    return latents_of(projection.latent, projection.codes, projection.scales, spec)
