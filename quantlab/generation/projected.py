"""The factors that a layer begins with in the place of a known weight."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from quantlab.generation.factors import Factors
from quantlab.generation.latents import TooLargeError, latents_of
from quantlab.generation.projection import Method, project
from quantlab.generation.spec import FactorName, MLGSpec

# Terms of a good projection may be large and cancel: these have smaller ones, in this order.
_SMALLER: dict[Method, tuple[tuple[Method, int | None], ...]] = {
    "qals": (("qals", 3), ("qals", 0), ("als", None), ("svd", None)),
    "als": (("svd", None),),
}


@dataclass(frozen=True, kw_only=True)
class ProjectedFactors:
    """latent: numbers of the factors. scales: what their quantizers are to have.

    Both lie on the CPU but for `train`.
    """

    latent: Factors
    scales: Mapping[FactorName, Tensor]


def projected_factors(weight: Tensor, spec: MLGSpec, method: Method, seed: int) -> ProjectedFactors:
    """Return latent numbers for the codes that a projection of a weight `[Co, Ci, ...]` finds.

    If those of `qals` or `als` are too large for `dorefa_sym`, they are of fewer rounds, or of a
    method with smaller terms.

    Raises UsageError for a weight that is not finite, or too large for `dorefa_sym`.
    """
    try:
        return _projected(weight, spec, method, seed)
    except TooLargeError:
        for other, rounds in _SMALLER.get(method, ()):
            try:
                return _projected(weight, spec, other, seed, rounds)
            except TooLargeError:
                continue
        raise


def _projected(
    weight: Tensor, spec: MLGSpec, method: Method, seed: int, rounds: int | None = None
) -> ProjectedFactors:
    # All but `train` are thousands of small steps in float64, which a GPU waits for.
    view = weight if method == "train" else weight.cpu()
    done = project(view, spec, method=method, seed=seed, rounds=rounds)
    latent, scales = latents_of(done.latent, done.codes, done.scales, spec)
    return ProjectedFactors(latent=latent, scales=scales)
