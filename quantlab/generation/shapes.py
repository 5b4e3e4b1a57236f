"""The shapes of the factors of a weight.

Of a weight [Co, Ci, Kh, Kw] with R bases of L kernels:

    basis      B  [R, L, Kh, Kw]   or [R, Ci, Kh, Kw] without coefficients of inputs
    coeff_in   U  [R, Ci, L]
    coeff_out  V  [Co, R]          absent where R is Co

Ci counts the inputs of one group: the groups of a convolution share their bases. So a depthwise
weight [C, 1, Kh, Kw] is a product of V [C, R] and B [R, 1, Kh, Kw].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.generation.spec import FactorName, MLGSpec

_PART = 0.9  # of the smaller side of a 1x1 weight, where as many bases would be no factorization


@dataclass(frozen=True, kw_only=True)
class FactorShapes:
    """coeff_in, coeff_out: None where a level is absent; both: the weight is dense."""

    basis: tuple[int, ...]
    coeff_in: tuple[int, int, int] | None
    coeff_out: tuple[int, int] | None

    @property
    def is_dense(self) -> bool:
        """Whether nothing is generated."""
        return self.coeff_in is None and self.coeff_out is None

    @property
    def by_name(self) -> dict[FactorName, tuple[int, ...] | None]:
        """The shape of each factor, None for one that is absent."""
        return {"basis": self.basis, "coeff_in": self.coeff_in, "coeff_out": self.coeff_out}

    @property
    def sizes(self) -> dict[FactorName, int]:
        """The numbers of each factor that there is."""
        return {n: math.prod(shape) for n, shape in self.by_name.items() if shape is not None}

    def num_bits(self, spec: MLGSpec) -> int:
        """Return the bits of all numbers of the factors."""
        return sum(count * spec.bits[name] for name, count in self.sizes.items())


def factor_shapes(shape: Sequence[int], spec: MLGSpec) -> FactorShapes:
    """Return the shapes of the factors of a weight, as the published code chooses them.

    shape: `[Co, Ci, ...]`. A level that would have as many terms as it replaces is absent; so a 1x1
    weight has no coefficients of inputs. Of a 1x1 weight that has fewer channels than there are
    bases, nine tenths of the smaller number are taken.
    """
    num_outputs, num_inputs, *kernel = shape
    area = math.prod(kernel)
    bases = spec.base_out
    if area == 1 and bases >= min(num_outputs, num_inputs):
        bases = int(_PART * min(num_outputs, num_inputs))
    has_in = 0 < spec.base_in < min(num_inputs, area)
    has_out = 0 < bases < min(num_outputs, num_inputs * area)
    if not has_out:
        bases = num_outputs
    return FactorShapes(
        basis=(bases, spec.base_in if has_in else num_inputs, *kernel),
        coeff_in=(bases, num_inputs, spec.base_in) if has_in else None,
        coeff_out=(num_outputs, bases) if has_out else None,
    )
