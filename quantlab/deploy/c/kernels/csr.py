"""Rows of nonzero weights, each with its column in a byte, as `runtime/sparse_csr.inc` reads them.

A row is one output. Its columns are the elements of a patch, which is what the windows of four
places read that are neighbors in a row of the result: so each weight is read once for four places.
The encoding is `Csr8` of `quantlab.formats.weights`: two bytes for each nonzero weight, and one for
each 255 columns of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.patch import (
    PATCH_CODE,
    PLACES,
    Steps,
    estimated,
    is_in_place,
    on_patch,
    patch,
)
from quantlab.formats.weights.csr8 import Csr8


@dataclass(frozen=True)
class CsrKernel(Kernel):
    """Two bytes for each nonzero weight."""

    @property
    def encoding(self) -> str:
        return "csr"

    @property
    def code_bytes(self) -> int:
        return 1430

    @property
    def shared_code(self) -> Mapping[str, int]:
        return PATCH_CODE

    def instructions(self, factors: Factors) -> float:
        num_entries = int(np.count_nonzero(factors.weight))
        num_spans = self.nbytes(factors) - 2 * num_entries
        at_once, single = Steps(span=36, entry=13.5), Steps(span=20, entry=4.8)
        return estimated(factors, num_spans, num_entries, at_once, single)

    def nbytes(self, factors: Factors) -> int:
        return Csr8().nbytes(on_patch(factors))

    def store(self, factors: Factors) -> Stored:
        return Stored(
            encoding=self.encoding,
            weights=Csr8().encode(on_patch(factors)).arrays["stream"].view(np.int8),
            function=f"csr_{factors.kind}",
            runtime=frozenset({"sparse_patch"}),
            scratch=None if is_in_place(factors) else patch(factors),
            places_at_once=PLACES,
        )
