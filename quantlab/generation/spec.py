"""How the weight of a layer is generated: the sizes of its factors and their bits."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from quantlab.algorithms.dorefa import MAX_BITS, odd_codes
from quantlab.errors import UsageError
from quantlab.numerics.ranges import integer_range
from quantlab.settings import Settings

FactorName = Literal["basis", "coeff_in", "coeff_out"]
FactorQuantizer = Literal["dorefa_sym", "lsq", "midtread"]

FLOAT_BITS = 32
_BITS = (*range(1, MAX_BITS + 1), FLOAT_BITS)


def _checked(bits: int) -> int:
    if bits not in _BITS:
        raise UsageError(f"{bits} given, 1 to {MAX_BITS}, or {FLOAT_BITS} for floats, allowed")
    return bits


FactorBits = Annotated[int, AfterValidator(_checked), WithJsonSchema({"enum": list(_BITS)})]


class MLGSpec(Settings):
    """The sizes and bits of factors.

    base_in: kernels of a basis, over which each input channel's kernel is a sum; 0: no such level.
    base_out: bases, over which each output channel is a sum; 0: no such level.
    basis_bit, coeff_in_bit, coeff_out_bit: of the numbers of a basis, and of the coefficients of
        either level; 32: floats, as they are.
    quantizer: of the factors: `dorefa_sym` as published, without a level at zero; `lsq`, whose
        scales are learned; `midtread`, whose scales stay where the factors began.
    linear_block: of a Linear, how many neighboring inputs are taken for a kernel, as height times
        width are of a convolution; 1: a plain product of coeff_out and basis.
    """

    base_in: int = Field(default=2, ge=0)
    base_out: int = Field(default=44, ge=0)
    basis_bit: FactorBits = 3
    coeff_in_bit: FactorBits = 6
    coeff_out_bit: FactorBits = 3
    quantizer: FactorQuantizer = "dorefa_sym"
    linear_block: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _check_bits(self) -> Self:
        for name, bits in self.bits.items():
            if bits == 1 and self.quantizer != "dorefa_sym":
                raise UsageError(
                    f"{name}_bit: 1 given, at least 2 allowed with quantizer '{self.quantizer}'"
                )
        return self

    @property
    def bits(self) -> dict[FactorName, int]:
        """The bits of each factor."""
        return {
            "basis": self.basis_bit,
            "coeff_in": self.coeff_in_bit,
            "coeff_out": self.coeff_out_bit,
        }

    @property
    def levels(self) -> dict[FactorName, tuple[int, ...]]:
        """The codes of each factor that is no float, in rising order."""
        bits = {name: num_bits for name, num_bits in self.bits.items() if num_bits < FLOAT_BITS}
        if self.quantizer == "dorefa_sym":
            return {name: odd_codes(num_bits) for name, num_bits in bits.items()}
        is_narrow = self.quantizer == "midtread"
        ranges = {
            name: integer_range(num_bits, signed=True, narrow=is_narrow)
            for name, num_bits in bits.items()
        }
        return {name: tuple(range(r.quant_min, r.quant_max + 1)) for name, r in ranges.items()}
