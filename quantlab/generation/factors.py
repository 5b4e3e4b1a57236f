"""The factors of a weight, together."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from quantlab.generation.generate import generate
from quantlab.generation.spec import FactorName


@dataclass(frozen=True, kw_only=True)
class Factors:
    """V, U and B, numbers or their codes; shapes as of `generate`, None for an absent level."""

    coeff_out: Tensor | None
    coeff_in: Tensor | None
    basis: Tensor

    @classmethod
    def of(cls, by_name: Mapping[FactorName, Tensor | None]) -> "Factors":
        """Return factors given by name; there is always a basis."""
        basis = by_name["basis"]
        assert basis is not None
        return cls(coeff_out=by_name["coeff_out"], coeff_in=by_name["coeff_in"], basis=basis)

    @property
    def by_name(self) -> dict[FactorName, Tensor | None]:
        """Each factor, None for one that is absent."""
        return {"basis": self.basis, "coeff_in": self.coeff_in, "coeff_out": self.coeff_out}

    def generate(self) -> Tensor:
        """Return the weight `[Co, Ci, ...]` that they stand for."""
        return generate(self.coeff_out, self.coeff_in, self.basis)
