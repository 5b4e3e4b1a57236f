"""How the weight of a layer is generated: the sizes of its factors and their bits."""

from typing import Literal

from pydantic import Field

from quantlab.settings import Settings

FactorName = Literal["basis", "coeff_in", "coeff_out"]


class MLGSpec(Settings):
    """The sizes and bits of factors.

    base_in: kernels of a basis, over which each input channel's kernel is a sum; 0: no such level.
    base_out: bases, over which each output channel is a sum; 0: no such level.
    basis_bit, coeff_in_bit, coeff_out_bit: of the numbers of a basis, and of the coefficients of
        either level.
    """

    base_in: int = Field(default=2, ge=0)
    base_out: int = Field(default=44, ge=0)
    basis_bit: int = Field(default=3, ge=1, le=8)
    coeff_in_bit: int = Field(default=6, ge=1, le=8)
    coeff_out_bit: int = Field(default=3, ge=1, le=8)

    @property
    def bits(self) -> dict[FactorName, int]:
        """The bits of each factor."""
        return {
            "basis": self.basis_bit,
            "coeff_in": self.coeff_in_bit,
            "coeff_out": self.coeff_out_bit,
        }
