"""Nonzero weights in Rice codes, as `runtime/rice.h` says and `runtime/sparse_rice.inc` reads them.

The encoding is `Rice` of `quantlab.formats.weights`, whose rows are the windows of all outputs: the
gaps of a patch, which has the inputs of four places, are in none of its codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.patch import PATCH_CODE, PLACES, Steps, estimated, is_in_place, patch
from quantlab.formats.weights.rice import Rice


@dataclass(frozen=True)
class RiceKernel(Kernel):
    """Nearly as few bits as the entropy of the weights."""

    @property
    def encoding(self) -> str:
        return "rice"

    @property
    def code_bytes(self) -> int:
        return 1780

    @property
    def shared_code(self) -> Mapping[str, int]:
        return {**PATCH_CODE, "rice_begin": 104, "rice_row": 56, "rice_entries": 336}

    def instructions(self, factors: Factors) -> float:
        num_outputs, num_entries = len(factors.weight), int(np.count_nonzero(factors.weight))
        at_once, single = Steps(span=190, entry=48.4), Steps(span=85, entry=43)
        return estimated(factors, num_outputs, num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Rice().nbytes(_windows(factors))

    def store(self, factors: Factors) -> Stored:
        return Stored(
            encoding=self.encoding,
            weights=Rice().encode(_windows(factors)).arrays["stream"].view(np.int8),
            function=f"rice_{factors.kind}",
            runtime=frozenset({"sparse_patch", "rice_begin", "rice_row", "rice_entries"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )


def _windows(factors: Factors) -> NDArray[np.int8]:
    """Return the weights `[O, K]`, in the order of a window."""
    return np.ascontiguousarray(factors.weight).reshape(len(factors.weight), -1)
