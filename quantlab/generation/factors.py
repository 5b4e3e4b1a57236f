"""The factors of a weight, together."""

from dataclasses import dataclass

from torch import Tensor

from quantlab.generation.generate import generate


@dataclass(frozen=True, kw_only=True)
class Factors:
    """V, U and B, numbers or their codes; shapes as of `generate`, None for a level that is absent."""

    coeff_out: Tensor | None
    coeff_in: Tensor | None
    basis: Tensor

    def generate(self) -> Tensor:
        """Return the weight `[Co, Ci, ...]` that they stand for."""
        return generate(self.coeff_out, self.coeff_in, self.basis)
