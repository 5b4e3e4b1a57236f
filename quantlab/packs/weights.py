"""Weights as a pack has them: codes or floats, from which each is computed in one way.

    W[c, ...] = float32(scale[c] * X[c, ...])

in float64, where X is a weight's codes, or the sum of products of its factors' (see
`quantlab.generation.generate`), in which codes are exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """Codes of some bits, all of them odd or any signed ones, or floats (num_bits: None)."""

    values: Array
    num_bits: int | None = None
    is_odd: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainWeight:
    """A weight `[Co, ...]` of codes or floats."""

    numbers: Numbers

    @property
    def parts(self) -> dict[str, Numbers]:
        """What is stored, by name."""
        return {"weight": self.numbers}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        return self.numbers.values.shape

    def unscaled(self) -> NDArray[np.float64]:
        """Return X of the module, `[Co, ...]`."""
        return self.numbers.values.astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedWeight:
    """Factors V `[Co, R]`, U `[R, Ci, L]` and B `[R, L or Ci, ...]`, None for an absent level."""

    coeff_out: Numbers | None
    coeff_in: Numbers | None
    basis: Numbers

    @property
    def parts(self) -> dict[str, Numbers]:
        """The factors that there are, by name."""
        given = {"coeff_out": self.coeff_out, "coeff_in": self.coeff_in, "basis": self.basis}
        return {name: numbers for name, numbers in given.items() if numbers is not None}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight. Raises ValueError for factors that have none."""
        bases, inputs, *kernel = self.basis.values.shape
        outputs = bases
        if self.coeff_in is not None:
            found, inputs, levels = self.coeff_in.values.shape
            if (found, levels) != self.basis.values.shape[:2]:
                raise ValueError(f"coeff_in of {self.coeff_in.values.shape} for {bases} bases")
        if self.coeff_out is not None:
            outputs, found = self.coeff_out.values.shape
            if found != bases:
                raise ValueError(f"coeff_out of {self.coeff_out.values.shape} for {bases} bases")
        return (outputs, inputs, *kernel)

    def unscaled(self) -> NDArray[np.float64]:
        """Return X of the module, `[Co, Ci, ...]`."""
        bases, _, *kernel = self.basis.values.shape
        whole = self.basis.values.reshape(*self.basis.values.shape[:2], -1).astype(np.float64)
        if self.coeff_in is not None:
            whole = self.coeff_in.values.astype(np.float64) @ whole
        inputs = whole.shape[1]
        if self.coeff_out is not None:
            bases = len(self.coeff_out.values)
            whole = self.coeff_out.values.astype(np.float64) @ whole.reshape(len(whole), -1)
        return whole.reshape(bases, inputs, *kernel)


Weight = PlainWeight | GeneratedWeight


def scaled(unscaled: NDArray[np.float64], scale: Array, ratios: Array) -> NDArray[np.float32]:
    """Return a weight from X. scale: `[]`, of all; ratios: `[Co]` or `[1]`, of each output."""
    rows = ratios.astype(np.float64) * np.float64(scale)
    return (unscaled * rows.reshape(-1, *[1] * (unscaled.ndim - 1))).astype(np.float32)
