"""Products of 16-bit floats."""

import math

import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.sparse.arithmetic.floats import Floats
from quantlab.sparse.batch_innermost import is_batch_innermost, memory

# The largest numbers lie below 2^bits: the kernels may add products up in 16 bits, below 2^16.
_PLANE_BITS, _VALUE_BITS = 6, 4
# Of factors; those of inputs and values also scale the bias, which must not overflow.
_MOST_BITS, _MOST_GRADIENT_BITS = 48, 100


class Half(Floats):
    """Inputs are kept in 16 bits; parameters and results are float32.

    With h(t) = t rounded to float16, and powers of two f_x, f_g that bring the largest number near
    2^6: y = sum_i w_i h(f_x x_i) / f_x + b; with g = dL/dy, dL/dx_i = sum w_i h(f_g g) / f_g and
    dL/dw_i = sum over all positions of h(f_g g) h(f_x x_i) / (f_g f_x), for the kept weights only.
    Sums are float32, or of the instruction set `avx512fp16` float16 for at most 32 products each,
    with w rounded too.
    """

    plane_type = torch.float16

    def plane_type_of(self, values: Tensor) -> torch.dtype:
        if values.dtype != torch.float32:
            raise UsageError(f"weight: {values.dtype} given; float32 allowed")
        return self.plane_type

    def factor_of_inputs(self, x: Tensor) -> float:
        return _factor(x, _PLANE_BITS, _MOST_BITS)

    def factor_of_gradients(self, y_gradient: Tensor) -> float:
        return _factor(y_gradient, _PLANE_BITS, _MOST_GRADIENT_BITS)

    def factor_of_values(self, values: Tensor) -> float:
        return _factor(values, _VALUE_BITS, _MOST_BITS)


def _factor(x: Tensor, num_bits: int, most_bits: int) -> float:
    """Return the power of two, at most 2^most_bits, that brings the largest of the finite numbers
    within [2^(num_bits - 1), 2^num_bits): 1 for zeros."""
    if x.numel() == 0:
        return 1.0
    low, high = torch.aminmax(memory(x) if is_batch_innermost(x) else x.detach())
    largest = max(-low.item(), high.item())
    if not math.isfinite(largest):
        return _factor(x[x.isfinite()], num_bits, most_bits)
    if largest == 0:
        return 1.0
    _, exponent = math.frexp(largest)
    return math.ldexp(1.0, min(num_bits - exponent, most_bits))
