"""Powers of two, to the bit on every device and in compiled code."""

import torch
from torch import Tensor

_BIAS, _MANTISSA_BITS = 127, 23  # of float32
MIN_EXPONENT, MAX_EXPONENT = -126, 127


def power_of_two(exponent: Tensor) -> Tensor:
    """Return 2^exponent of whole numbers, any shape, as float32: its bits are put together.

    Exponents are clamped to those of normal numbers, MIN_EXPONENT to MAX_EXPONENT.
    """
    biased = exponent.clamp(MIN_EXPONENT, MAX_EXPONENT).to(torch.int32) + _BIAS
    return (biased << _MANTISSA_BITS).view(torch.float32)
