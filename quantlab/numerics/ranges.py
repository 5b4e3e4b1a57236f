"""Integer ranges: which codes a number of bits can hold."""

from dataclasses import dataclass

from quantlab.errors import UsageError

MAX_BITS = 16  # float32 holds codes and their half steps exactly up to here, with room to spare


@dataclass(frozen=True, kw_only=True)
class IntegerRange:
    """The codes `quant_min, quant_min + 1, ..., quant_max`; 0 is always one of them."""

    quant_min: int
    quant_max: int

    @property
    def num_levels(self) -> int:
        return self.quant_max - self.quant_min + 1


def integer_range(num_bits: int, *, signed: bool, narrow: bool = False) -> IntegerRange:
    """Return the codes of `num_bits` bits.

    unsigned       [0, 2^b - 1]
    signed         [-2^(b-1), 2^(b-1) - 1]
    signed narrow  [-2^(b-1) + 1, 2^(b-1) - 1], the same on both sides of zero

    Raises UsageError for a range that does not exist or has a single code.
    """
    if not 1 <= num_bits <= MAX_BITS:
        raise UsageError(f"num_bits: {num_bits} given, 1 to {MAX_BITS} allowed")
    if not signed:
        if narrow:
            raise UsageError("narrow: True given with signed=False, but 0 cannot be left out")
        return IntegerRange(quant_min=0, quant_max=2**num_bits - 1)
    if num_bits == 1:
        raise UsageError("num_bits: 1 given with signed=True, at least 2 allowed (one is the sign)")
    half = 2 ** (num_bits - 1)
    return IntegerRange(quant_min=-half + narrow, quant_max=half - 1)
